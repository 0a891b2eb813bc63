"""`python -m pinpoint`, which launchers of several processes can start."""

from pinpoint.cli import main

main()
