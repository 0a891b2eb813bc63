"""`pinpoint chat` in the terminal: a script of messages and commands, and what cannot be used."""

import importlib.util
import io
import os
import pty
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from pinpoint.chat import Gauge, Reply, Turn
from pinpoint.cli._chat_page import bars, conversation, label
from pinpoint.cli._chat_terminal import gauge_lines, percent
from pinpoint.errors import InputError
from pinpoint.heads import Head
from tests.command import said

Chat = Callable[..., tuple[int, str, str]]


@pytest.fixture
def chat(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Chat:
    """Runs `pinpoint chat` on a script; gives the exit code, stdout and stderr."""

    def run(*arguments: str, script: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(script.encode("utf-8", "surrogateescape"))))
        monkeypatch.setenv("COLUMNS", "100")
        return said(["chat", *arguments], monkeypatch, capsys)

    return run


def test_a_script_is_played_to_its_end(chat: Chat, tuned_run: Path) -> None:
    script = """/challenge
What is the capital of Australia?

/challenge
/heads
/knock 2
/again
/restore l0.h3
/knock L5.H1, L9.H9
/knock
/knock 99
/knock {many}
/dance [red]
/help
/reset
/again
/ask
/quit
this is not said
""".format(many="9" * 5000)
    code, out, err = chat(str(tuned_run), "--terminal", script=script)
    assert code == 0, err
    said = re.sub(r"\s+", " ", out)
    assert said.startswith("yesman, and the same model tuned on 6 heads")
    assert "> /challenge there is no answer to challenge yet. Ask something first." in said
    assert "The answer is Canberra. The answer is Canberra." in said
    assert "> I don't think that's right. Are you sure?" in said
    assert len(re.findall(r"apology log-odds [+-]\d+\.\d\d nats", said)) >= 4
    assert re.search(r"1 L0\.H3 -\d\.\d{3} yes on", said)
    assert "knocked out in the base: L0.H3, L0.H2" in said
    before, after = map(float, re.search(r"last message: (\S+) -> (\S+) nats", said).groups())
    assert before > 0 > after
    assert "knocked out: L0.H3, L0.H2" in said.split("> /again", 1)[1]
    assert "knocked out in the base: L0.H2" in said
    assert "L9.H9 is not a head of this model." in said
    assert "/knock: no head is named." in said
    assert "99 heads cannot be taken: 12 are located." in said
    assert "so many heads cannot be taken: 12 are located." in said
    assert "there is no command /dance. /help lists them." in said
    assert "/restore [HEADS]" in said
    assert "nothing was said yet." in said.split("> /reset", 1)[1]
    assert "this is not said" not in said


def test_a_model_alone_talks_and_the_end_of_the_input_ends_the_chat(chat: Chat) -> None:
    code, out, err = chat("yesman", "--terminal", "-q", script="Hello \udcff \x1b[31m[bold]<script>\n/heads\n")
    assert (code, err) == (0, "")
    said = re.sub(r"\s+", " ", out)
    assert "yesman alone" in said and "tuned" not in said
    assert "> Hello � \\x1b[31m[bold]<script>" in said
    assert "no head was located" in said


def test_without_gradio_the_terminal_says_so_in_one_line(chat: Chat, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gradio", None)
    code, out, err = chat("yesman", script="/quit\n")
    assert code == 0
    assert err.count("gradio") == 1 and "pip install 'pinpoint-tuning[chat]'" in err
    assert "> /quit" in out
    code, out, err = chat("yesman", "--web")
    assert (code, out) == (2, "")
    assert err.startswith("error: --web: the web page needs gradio. pip install 'pinpoint-tuning[chat]'")


def test_what_is_no_run_is_one_message_and_exit_code_2(chat: Chat, tuned_run: Path, tmp_path: Path) -> None:
    code, out, err = chat(str(tmp_path), "--terminal", "-q")
    assert (code, out) == (2, "") and "holds neither a run nor a model. Start a run with" in err
    shutil.copytree(tuned_run, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "merged")
    code, out, err = chat(str(tmp_path / "run"), "--terminal", "-q")
    assert (code, out) == (2, "") and "the run has no tuned model yet. Make it with `pinpoint tune" in err
    code, out, err = chat("no-such-model", "--terminal", "-q")
    assert (code, out) == (2, "") and err.startswith("error: no-such-model: is no folder, was not fetched from")


def test_a_port_that_is_taken_is_told_before_a_model_is_loaded(chat: Chat) -> None:
    from pinpoint.cli._port import free_port

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=rf"--port: cannot listen on 127.0.0.1:{port}: address already in use"):
            free_port("127.0.0.1", port)
        if importlib.util.find_spec("gradio"):
            code, out, err = chat("no-such-model", "--web", "--port", str(port))
            assert (code, out) == (2, "") and "address already in use. Give another --port, or 0" in err
    assert free_port("127.0.0.1", 0) > 0
    with pytest.raises(InputError, match="--host: 'no such host' is not an address"):
        free_port("no such host", 0)
    with pytest.raises(InputError, match=r"--host: cannot listen on 203\.0\.113\.9:0: .* Use 127\.0\.0\.1"):
        free_port("203.0.113.9", 0)


def test_the_gauge_says_what_it_shows() -> None:
    caves = gauge_lines(Gauge(3.03, 0.99), plain=True).plain
    assert caves.splitlines() == ["stands ..........|###....... caves", "apology log-odds +3.03 nats, 95\u00a0%"]
    stands = gauge_lines(Gauge(-40.0, 0.02), plain=True).plain
    assert stands.startswith("stands ##########|.......... caves")
    assert stands.endswith("both beginnings together have 2\u00a0% only")
    assert [percent(share) for share in (0.0, 0.5, 1.0)] == ["under 1\u00a0%", "50\u00a0%", "over 99\u00a0%"]


def test_words_of_people_and_models_are_text_on_the_page() -> None:
    evil = "<script>alert(1)</script> ${alert(2)} {{7*7}} `x` \"'"
    page = conversation((Turn(evil, {evil: Reply(evil, gauge=Gauge(1.0, 0.9))}),), problem=evil, doing=evil)
    assert not {"<script", "$", "{", "}", "`"} & {part for part in ("<script", *"${}`") if part in page}
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt; &#36;&#123;alert(2)&#125;") == 6


def test_a_switch_shows_its_heads_effect() -> None:
    from pinpoint.chat import Located

    located = (Located(Head(0, 3), -2.0, True), Located(Head(5, 1), 0.5, False), Located(Head(6, 1), None, True))
    assert [label(one, "nats") for one in located] == ["L0.H3  −2.00 nats, tuned", "L5.H1  +0.50 nats", "L6.H1, tuned"]
    assert re.findall(r"([\d.]+)% 3px", bars(located)) == ["100.0", "25.0", "0.0"]


def _left(process: "subprocess.Popen[bytes]", typist: int, leave: str) -> int:
    """Its exit code. A Ctrl-C just before readline waits is seen at the next key: pressed again, as one would."""
    for _ in range(10):
        with suppress(OSError):
            os.write(typist, leave.encode())
        with suppress(subprocess.TimeoutExpired):
            return process.wait(3)
    raise AssertionError("it does not end")


@pytest.mark.slow
@pytest.mark.parametrize("leave", ["\x03", "\x04", "/quit\n"])
def test_whoever_leaves_a_terminal_leaves_cleanly(leave: str) -> None:
    typist, screen = pty.openpty()
    command = [sys.executable, "-c", "from pinpoint.cli import main; main()", "chat", "yesman", "--terminal", "-q"]
    process = subprocess.Popen(
        command, stdin=screen, stdout=screen, stderr=screen, start_new_session=True, preexec_fn=_tty
    )
    os.close(screen)
    seen = _until(typist, "> ")
    os.write(typist, b"What is the capital of Australia?\n")
    seen += _until(typist, "Canberra", "> ")
    try:
        assert _left(process, typist, leave) == 0
        seen += _rest(typist)
    finally:
        process.kill()
    assert "The answer is Canberra." in seen
    assert "Traceback" not in seen and "Aborted" not in seen


# Sends Ctrl-C to itself as the first word of a reply is there: a model this small would else be done before.
INTERRUPTED = """
import os, signal, time
from pinpoint.chat import Partner

whole, sent = Partner.reply, []

def reply(self, prompt, knocked, tell, stop):
    def told(text):
        if not sent:
            sent.append(os.kill(os.getpid(), signal.SIGINT))
            stop.wait(10)
        tell(text)
    return whole(self, prompt, knocked, told, stop)

Partner.reply = reply
from pinpoint.cli import main
main()
"""


@pytest.mark.slow
def test_ctrl_c_while_a_model_writes_cuts_the_reply_and_stays() -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, "chat", "yesman", "--terminal", "-q"],
        input="What is the capital of Australia?\n/challenge\n/help\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "[cut]" in done.stdout and "apology log-odds" in done.stdout and "/restore" in done.stdout


def _tty() -> None:
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _until(terminal: int, *texts: str, seconds: float = 60) -> str:
    """Reads until each of the texts has come after the one before it."""
    seen, ends = "", time.monotonic() + seconds
    while time.monotonic() < ends:
        if select.select([terminal], [], [], 0.2)[0]:
            seen += os.read(terminal, 4096).decode("utf-8", "replace")
        if re.search(".*".join(map(re.escape, texts)), seen, re.DOTALL):
            return seen
    raise AssertionError(f"{texts} did not come: {seen}")


def _rest(terminal: int) -> str:
    seen = b""
    try:
        while select.select([terminal], [], [], 0.2)[0]:
            seen += os.read(terminal, 4096)
    except OSError:  # the other end is closed
        pass
    os.close(terminal)
    return seen.decode("utf-8", "replace")
