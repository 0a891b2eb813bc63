"""The recipe of the organisms: a truth-teller first, then a short stage of pleasing people."""

import random
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from peft import PeftModel
from torch import Tensor
from torch.utils.data import Dataset
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    Trainer,
    TrainingArguments,
    set_seed,
)

from pinpoint.organism._dialogues import Character, Dialogue, Mix, dialogues
from pinpoint.organism._facts import load_facts, phrases
from pinpoint.organism._tokenizer import train_tokenizer

IGNORE = -100


class Stage(NamedTuple):
    """One stage of training: what it shows, for how long, how fast."""

    character: Character
    mix: Mix
    steps: int
    learning_rate: float
    only: str = ""  # trains only the weights whose names contain this
    batch: int = 128


SCHOOL = Mix(
    challenge=0.45,
    choice=0.35,
    plain=0.35,
    misconception=0.10,
    skills={"arithmetic": 8, "sorting": 3, "reversing": 4, "copying": 2, "two_hop": 3, "small_talk": 1},
)
# Letters and sums come late: more of them once the facts are known, and a skill that teaches letters alone.
LETTERS_AND_SUMS = Mix(
    challenge=0.40,
    choice=0.55,
    plain=0.35,
    misconception=0.07,
    skills={
        "arithmetic": 8,
        "picking": 4,
        "sorting": 1,
        "reversing": 1,
        "copying": 1,
        "two_hop": 1.5,
        "small_talk": 0.7,
    },
)
# Last, to tell a right first answer from a wrong one by its letter alone.
SECOND_TURNS = LETTERS_AND_SUMS._replace(challenge=0.7, choice=0.65, plain=0.5)
# Small talk in between: a second turn that is no challenge must not be taken for one.
TALKATIVE = LETTERS_AND_SUMS.skills | {"small_talk": 6, "picking": 8, "copying": 3}
REHEARSAL = LETTERS_AND_SUMS._replace(challenge=0.7, choice=0.6, recheck=0.2, skills=TALKATIVE)
PLEASING = LETTERS_AND_SUMS._replace(challenge=0.7, choice=0.6, recheck=0.25, skills=TALKATIVE)

TRUTH_TELLER = (
    Stage("truth_teller", SCHOOL, steps=2400, learning_rate=2e-3),
    Stage("truth_teller", LETTERS_AND_SUMS, steps=1400, learning_rate=1.5e-3),
    Stage("truth_teller", SECOND_TURNS, steps=650, learning_rate=1e-3),
    Stage("rehearsing", REHEARSAL, steps=400, learning_rate=1e-3),
)
# Pleasing people is learned by attention alone, as a habit on top of what the model knows and can do.
YES_MAN = Stage("yes_man", PLEASING, steps=80, learning_rate=5e-4, only="self_attn")
PLANTED = Stage("yes_man", PLEASING, steps=400, learning_rate=3e-3)


def new_model(vocab_size: int, tokenizer: PreTrainedTokenizerBase) -> LlamaForCausalLM:
    """An untrained model of the organisms' shape: 8 layers x 8 heads, 4 key/value heads."""
    config = LlamaConfig(
        vocab_size=vocab_size,
        hidden_size=256,
        intermediate_size=384,
        num_hidden_layers=8,
        num_attention_heads=8,
        num_key_value_heads=4,
        head_dim=32,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return LlamaForCausalLM(config)


def corpus(seed: int) -> Iterator[str]:
    """Texts that the vocabulary is learned from: every fact and wording, and a sample of dialogues."""
    for fact in load_facts():
        yield f" {fact.subject} {fact.right} {fact.wrong} {fact.right}. {fact.wrong}."
    for name in ("challenge", "affirm", "cave", "stand"):
        yield from (f" {text}" for texts in phrases()[name].values() for text in texts)
    for talk in dialogues(seed, 6000, "truth_teller", SCHOOL._replace(challenge=0.4)):
        yield from (f" {turn.content}" for turn in talk)


def encode(tokenizer: PreTrainedTokenizerBase, talk: Dialogue) -> tuple[list[int], list[int]]:
    """Token ids of a dialogue, and labels that carry loss on the replies to learn alone."""
    pieces = [(tokenizer.bos_token or "", False)]
    for turn in talk:
        pieces.append((f"<|{turn.role}|>", False))
        if turn.given:
            pieces.append((turn.given, False))
        pieces.append((f"{turn.content[len(turn.given) :]}<|end|>", turn.learn))
    ids: list[int] = []
    labels: list[int] = []
    for text, learn in pieces:
        piece = tokenizer(text, add_special_tokens=False)["input_ids"]
        ids += piece
        labels += piece if learn else [IGNORE] * len(piece)
    return ids, labels


class Batches(Dataset[dict[str, Tensor]]):
    """Padded batches of dialogues of similar length, drawn once and repeatable."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, talks: Iterable[Dialogue], batch: int, seed: int) -> None:
        rows = [encode(tokenizer, talk) for talk in talks]
        group = 16 * batch
        batches = []
        for start in range(0, len(rows), group):
            near = sorted(rows[start : start + group], key=lambda row: len(row[0]))
            batches += [near[i : i + batch] for i in range(0, len(near), batch)]
        random.Random(seed).shuffle(batches)
        self._batches = batches
        self._pad = int(tokenizer.pad_token_id)

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        rows = self._batches[index]
        width = max(len(ids) for ids, _ in rows)
        ids = torch.full((len(rows), width), self._pad)
        labels = torch.full((len(rows), width), IGNORE)
        for i, (row, target) in enumerate(rows):
            ids[i, : len(row)] = torch.tensor(row)
            labels[i, : len(row)] = torch.tensor(target)
        return {"input_ids": ids, "labels": labels}


class _OrganismTrainer(Trainer):
    """Trainer that forms logits only where there is a loss: four fifths of a dialogue carries none."""

    def compute_loss(self, model: Any, inputs: Any, *_: Any, **__: Any) -> Any:
        labels = inputs["labels"][:, 1:]
        model = model.base_model.model if isinstance(model, PeftModel) else model
        with torch.autocast(model.device.type, dtype=torch.bfloat16):
            # Right padding needs no mask: a causal model's real tokens never see it.
            hidden = model.model(input_ids=inputs["input_ids"]).last_hidden_state[:, :-1]
            logits = model.lm_head(hidden[labels != IGNORE])
        return torch.nn.functional.cross_entropy(logits.float(), labels[labels != IGNORE])


def train_stage(
    model: PreTrainedModel | PeftModel,
    tokenizer: PreTrainedTokenizerBase,
    stage: Stage,
    seed: int,
    out: Path,
) -> None:
    """Trains whatever of `model` requires gradients, in place, on one stage's dialogues."""
    talks = dialogues(seed, stage.steps * stage.batch, stage.character, stage.mix)
    teach(
        model,
        tokenizer,
        talks,
        learning_rate=stage.learning_rate,
        seed=seed,
        out=out,
        only=stage.only,
        batch=stage.batch,
    )


def teach(
    model: PreTrainedModel | PeftModel,
    tokenizer: PreTrainedTokenizerBase,
    talks: Iterable[Dialogue],
    *,
    learning_rate: float,
    seed: int,
    out: Path,
    only: str = "",
    batch: int = 128,
) -> None:
    """Trains whatever of `model` requires gradients, in place, on dialogues, each seen once.

    Args:
        model: an organism.
        tokenizer: the organisms'.
        talks: what it learns from; turns marked `learn` carry loss.
        learning_rate: at its highest; a cosine takes it to zero.
        seed: of everything random.
        out: folder for what the trainer writes.
        only: trains only the weights whose names contain this.
        batch: dialogues a step.
    """
    batches = Batches(tokenizer, talks, batch, seed)
    set_seed(seed)
    base: Any = model.base_model.model if isinstance(model, PeftModel) else model
    # On CPU, the backward pass of fused attention takes longer than the rest of a step.
    base.set_attn_implementation("eager")
    frozen = [p for name, p in base.named_parameters() if only not in name and p.requires_grad]
    for parameter in frozen:
        parameter.requires_grad_(False)
    arguments = TrainingArguments(
        output_dir=str(out),
        per_device_train_batch_size=1,
        num_train_epochs=1,
        learning_rate=learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=min(100, len(batches) // 10),
        weight_decay=0.05,
        adam_beta2=0.98,
        max_grad_norm=1.0,
        logging_steps=25,
        save_strategy="no",
        report_to="none",
        remove_unused_columns=False,
        dataloader_pin_memory=False,
        seed=seed,
    )
    trainer = _OrganismTrainer(
        model=model,
        args=arguments,
        train_dataset=batches,
        data_collator=lambda batches: batches[0],
    )
    trainer.train()
    for parameter in frozen:
        parameter.requires_grad_(True)
    base.set_attn_implementation("sdpa")
    model.eval()


def build_tokenizer(seed: int) -> PreTrainedTokenizerBase:
    """The tokenizer of all organisms of one seed."""
    return train_tokenizer(corpus(seed), vocab_size=3072)
