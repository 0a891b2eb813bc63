"""The stages in order, with the checks between them."""

from pinpoint.pipeline._capability import capability_run
from pinpoint.pipeline._chatting import lineup_of_model, lineup_of_run
from pinpoint.pipeline._compare import compare_run
from pinpoint.pipeline._endpoint import endpoint_folder, evaluate_endpoint
from pinpoint.pipeline._export import export_run
from pinpoint.pipeline._folders import changed_keys, copy_of, folder_for
from pinpoint.pipeline._gates import Gate, parse_gates
from pinpoint.pipeline._inputs import read_sets
from pinpoint.pipeline._inspect import Inspection, inspect_model
from pinpoint.pipeline._joint import check_paths, joint_of, search_set
from pinpoint.pipeline._locating import (
    Comparison,
    beside_brute_force,
    locate_receivers,
    located_scores,
)
from pinpoint.pipeline._lock import LOG, locked
from pinpoint.pipeline._one_pair import compare_on_one_pair
from pinpoint.pipeline._plan import Plan, plan
from pinpoint.pipeline._preconditions import demand_before
from pinpoint.pipeline._push import Package, Target, exported, package_of, push, target
from pinpoint.pipeline._reproduce import Reproduction, read_record, reproduce, restored
from pinpoint.pipeline._room import demand_room
from pinpoint.pipeline._run import Run
from pinpoint.pipeline._stability import check_ranked, locate_stability
from pinpoint.pipeline._sweeps import check_kinds, counts_of, sweep_run
from pinpoint.pipeline._template import Fitted, fitted, rendering

__all__ = [
    "LOG",
    "Comparison",
    "Fitted",
    "Gate",
    "Inspection",
    "Package",
    "Plan",
    "Reproduction",
    "Run",
    "Target",
    "beside_brute_force",
    "capability_run",
    "changed_keys",
    "check_kinds",
    "check_paths",
    "check_ranked",
    "compare_on_one_pair",
    "compare_run",
    "copy_of",
    "counts_of",
    "demand_before",
    "demand_room",
    "endpoint_folder",
    "evaluate_endpoint",
    "export_run",
    "exported",
    "fitted",
    "folder_for",
    "inspect_model",
    "joint_of",
    "lineup_of_model",
    "lineup_of_run",
    "locate_receivers",
    "locate_stability",
    "located_scores",
    "locked",
    "package_of",
    "parse_gates",
    "plan",
    "push",
    "read_record",
    "read_sets",
    "rendering",
    "reproduce",
    "restored",
    "search_set",
    "sweep_run",
    "target",
]
