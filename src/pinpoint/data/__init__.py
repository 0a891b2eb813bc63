"""Dialogues, contrast pairs, chat templates and question sets."""

from pinpoint.data._answers import Answer, continuations, first_tokens
from pinpoint.data._batch import Batch, Side, pad
from pinpoint.data._chat import (
    Message,
    Messages,
    assistant,
    beginning,
    choose_thinking,
    encode_chat,
    render,
    system,
    user,
)
from pinpoint.data._columns import read_columns
from pinpoint.data._deal import SHARES, Dealt, Shares, deal, deal_splits, neutral_dialogues
from pinpoint.data._draw import draw
from pinpoint.data._files import numbered_rows
from pinpoint.data._in_place import tokens_of_reply
from pinpoint.data._leakage import Corpus, Overlap, Passage, same_text
from pinpoint.data._lines import HALVED, halved, read_lines
from pinpoint.data._listed import options_in, present, several
from pinpoint.data._pairs import ContrastPair, EncodedPair, encode_pair, groups_of
from pinpoint.data._passages import Excerpt, read_passages
from pinpoint.data._published import read_published
from pinpoint.data._published_row import BadRow, Published, twins
from pinpoint.data._questions import (
    Dialogue,
    Question,
    Split,
    Task,
    in_normal_form,
    read_dialogues,
    read_questions,
    read_tasks,
)
from pinpoint.data._reasoned import with_reasoning
from pinpoint.data._rows import Located, Placed, read_rows
from pinpoint.data._scripts import UNSPACED, VOWELS
from pinpoint.data._template import PLAIN, choose_template, system_lost
from pinpoint.data._thoughts import (
    Said,
    closes_thoughts,
    encode_to_reply,
    joined,
    opens_thought,
    parted,
    render_to_reply,
)
from pinpoint.data._transcripts import Transcript, Unusable, read_transcripts

__all__ = [
    "HALVED",
    "PLAIN",
    "SHARES",
    "UNSPACED",
    "VOWELS",
    "Answer",
    "BadRow",
    "Batch",
    "ContrastPair",
    "Corpus",
    "Dealt",
    "Dialogue",
    "EncodedPair",
    "Excerpt",
    "Located",
    "Message",
    "Messages",
    "Overlap",
    "Passage",
    "Placed",
    "Published",
    "Question",
    "Said",
    "Shares",
    "Side",
    "Split",
    "Task",
    "Transcript",
    "Unusable",
    "assistant",
    "beginning",
    "choose_template",
    "choose_thinking",
    "closes_thoughts",
    "continuations",
    "deal",
    "deal_splits",
    "draw",
    "encode_chat",
    "encode_pair",
    "encode_to_reply",
    "first_tokens",
    "groups_of",
    "halved",
    "in_normal_form",
    "joined",
    "neutral_dialogues",
    "numbered_rows",
    "opens_thought",
    "options_in",
    "pad",
    "parted",
    "present",
    "read_columns",
    "read_dialogues",
    "read_lines",
    "read_passages",
    "read_published",
    "read_questions",
    "read_rows",
    "read_tasks",
    "read_transcripts",
    "render",
    "render_to_reply",
    "same_text",
    "several",
    "system",
    "system_lost",
    "tokens_of_reply",
    "twins",
    "user",
    "with_reasoning",
]
