"""A chat in the browser, served by gradio."""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr
import typer
from starlette.middleware import Middleware

from pinpoint.chat import Lineup, Session, Turn
from pinpoint.cli._chat_page import bars, conversation, heading, label
from pinpoint.errors import InputError, PinpointError
from pinpoint.heads import Head

_HERE = Path(__file__).parent
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
# Nothing is fetched from, or sent to, anywhere but this server, whatever gradio's page or a message asks for.
_POLICY = (
    "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; "
    "frame-ancestors 'self'; object-src 'none'; base-uri 'self'; form-action 'self'"
)


class _Guarded:
    """Adds the headers that keep a page to itself."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def headed(message: Any) -> None:
            if message["type"] == "http.response.start":
                extra = {"content-security-policy": _POLICY, "referrer-policy": "no-referrer"}
                message["headers"] = [*message["headers"], *((k.encode(), v.encode()) for k, v in extra.items())]
            await send(message)

        await self._app(scope, receive, headed)


class _Parts(NamedTuple):
    """What an event changes: the conversation, what is typed, and whether there is an answer to challenge."""

    talk: Any
    box: Any
    challenge: Any


class _Page:
    """The page: one conversation per browser tab, the models shared."""

    def __init__(self, lineup: Lineup) -> None:
        self.lineup = lineup
        self._sessions: dict[str, Session] = {}

    def _drawn(self, turns: tuple[Turn, ...], **more: str) -> str:
        return conversation(turns, lineup=self.lineup, **more)

    def _of(self, request: gr.Request) -> Session:
        return self._sessions.setdefault(str(request.session_hash), Session(self.lineup))

    def _forget(self, request: gr.Request) -> None:
        session = self._sessions.pop(str(request.session_hash), None)
        if session:
            session.stop()

    def _told(
        self, session: Session, turns: Callable[[], Iterator[Turn]], *, typed: bool = False, replacing: bool = False
    ) -> Iterator[_Parts]:
        """Draws an answer as it grows, or says why there is none.

        Args:
            session: whose.
            turns: the answer.
            typed: the box held the message, and is to be emptied.
            replacing: the answer stands for the last one instead of following it.
        """
        box: Any = "" if typed else gr.skip()
        try:
            for turn in turns():
                kept = session.turns[:-1] if replacing else session.turns
                yield _Parts(self._drawn((*kept, turn)), box, gr.skip())
                box = gr.skip()
            yield _Parts(self._drawn(session.turns), gr.skip(), gr.update(interactive=self.lineup.challenges))
        except PinpointError as error:
            yield _Parts(self._drawn(session.turns, problem=str(error)), gr.skip(), gr.skip())

    def say(self, message: str, request: gr.Request) -> Iterator[_Parts]:
        """Sends what was typed."""
        session = self._of(request)
        yield from self._told(session, lambda: session.say(message), typed=True)

    def ask(self, request: gr.Request) -> Iterator[_Parts]:
        """Sends the next question that no model was tuned on."""
        session = self._of(request)
        yield from self._told(session, lambda: session.say(session.question()))

    def challenge(self, request: gr.Request) -> Iterator[_Parts]:
        """Doubts the last answers."""
        session = self._of(request)
        yield from self._told(session, session.challenge)

    def switch(self, names: list[str], request: gr.Request) -> Iterator[_Parts]:
        """Knocks the ticked heads out, and has the base answer the last message again."""
        session = self._of(request)
        try:
            if names and not self.lineup.base.measured:
                doing = "Measuring what the heads put out on neutral dialogues ..."
                yield _Parts(self._drawn(session.turns, doing=doing), gr.skip(), gr.skip())
                self.lineup.base.measure()
            session.switch(map(Head.parse, names))
        except PinpointError as error:
            yield _Parts(self._drawn(session.turns, problem=str(error)), gr.skip(), gr.skip())
            return
        if session.turns:
            yield from self._told(session, session.again, replacing=True)
        else:
            yield _Parts(self._drawn(()), gr.skip(), gr.skip())

    def stop(self, request: gr.Request) -> None:
        """Cuts the replies short."""
        self._of(request).stop()

    def reset(self, request: gr.Request) -> _Parts:
        """Forgets the conversation."""
        self._of(request).reset()
        return _Parts(self._drawn(()), gr.skip(), gr.update(interactive=False))

    def blocks(self) -> gr.Blocks:
        """The page, laid out and wired."""
        page = gr.Blocks(title=f"pinpoint chat: {self.lineup.name}", analytics_enabled=False)
        with page:
            gr.HTML(heading(self.lineup), elem_id="pp-title")
            with gr.Row():
                with gr.Column(scale=3, min_width=320):
                    talk = gr.HTML(self._drawn(()), elem_id="pp-talk")
                    box = gr.Textbox(
                        placeholder="Ask something", show_label=False, label="Message", submit_btn="Send", max_lines=6,
                        autofocus=True, elem_id="pp-box",
                    )  # fmt: skip
                    with gr.Row(elem_id="pp-buttons"):
                        challenge = gr.Button(
                            "Challenge", variant="primary", interactive=False, visible=self.lineup.challenges
                        )
                        ask = gr.Button("Test question", interactive=bool(self.lineup.questions))
                        stop = gr.Button("Stop")
                        reset = gr.Button("Start over")
                with gr.Column(scale=1, min_width=270):
                    heads = self._switches()
            parts = _Parts(talk, box, challenge)
            wired: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
            streams = wired | {"outputs": list(parts), "concurrency_limit": None}
            box.submit(self.say, box, **streams)
            challenge.click(self.challenge, **streams)
            ask.click(self.ask, **streams)
            heads.input(self.switch, heads, trigger_mode="always_last", **streams)
            stop.click(self.stop, **wired)
            reset.click(self.reset, outputs=list(parts), **wired)
            page.unload(self._forget)
        return page

    def _switches(self) -> gr.CheckboxGroup:
        if not self.lineup.located:
            gr.Markdown("No head was located: this is a model, not a run.")
        return gr.CheckboxGroup(
            [(label(one, self.lineup.unit), str(one.head)) for one in self.lineup.located],
            label="Knock out in the base",
            info="A ticked head is knocked out as verify does it, and the base answers the last message again. "
            "Figures and bars: the head's effect, from locate.",
            visible=bool(self.lineup.located),
            elem_id="pp-heads",
        )


def serve(lineup: Lineup, host: str, port: int) -> None:
    """Serves the page until Ctrl-C.

    Raises:
        InputError: the server does not come up.
    """
    page = _Page(lineup).blocks()
    font = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "Arial", "sans-serif"]
    theme = gr.themes.Base(font=font, font_mono=["ui-monospace", "Menlo", "Consolas", "monospace"])
    try:
        _, address, _ = page.queue().launch(
            server_name=host, server_port=port, share=False, quiet=True, prevent_thread_lock=True, inbrowser=False,
            ssr_mode=False, mcp_server=False, pwa=False, enable_monitoring=False, footer_links=[], theme=theme,
            css_paths=_HERE / "chat.css", css=bars(lineup.located), app_kwargs={"middleware": [Middleware(_Guarded)]},
        )  # fmt: skip
    except (OSError, ValueError) as error:
        raise InputError(
            f"the page cannot be served: {error}", where=f"{host}:{port}", mend="Give another --host or --port."
        ) from error
    typer.echo(f"chat: {address} (Ctrl-C ends it)")
    if host not in _LOOPBACK:
        typer.echo("warning: whoever reaches this address can talk to the models.", err=True)
    with suppress(KeyboardInterrupt):
        while True:
            time.sleep(3600)
    page.close(verbose=False)
