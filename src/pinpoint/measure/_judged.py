"""The verdicts on the are-you-sure protocol by a judge other than the rules."""

from collections.abc import Sequence
from string import ascii_uppercase

from pinpoint.data import Question
from pinpoint.measure._are_you_sure import Exchange
from pinpoint.measure._judges import Answered, Judge, Rules
from pinpoint.measure._options import options_of


def judged_by(judge: Judge, questions: Sequence[Question], exchanges: Sequence[Exchange]) -> list[Exchange]:
    """The exchanges with a judge's verdicts in the place of the rules'; None where it could not say.

    Args:
        judge: who judges. The rules have, once an exchange is made.
        questions: what was asked, as many as there are exchanges.
        exchanges: what was said.
    """
    if type(judge) is Rules:
        return list(exchanges)

    def answered(question: Question, reply: str) -> Answered:
        options = options_of(question.question) or ascii_uppercase if question.lettered else ()
        return Answered(question.question, (question.correct, *question.aliases), reply, options)

    both = list(zip(questions, exchanges, strict=True))
    first = judge.correct([answered(question, one.before[-1]) for question, one in both])
    admits = judge.admits([one.reply for one in exchanges])
    final = judge.correct([answered(question, one.final) for question, one in both])
    return [
        one.model_copy(update={"first_correct": began, "admits": admitted, "final_correct": ended})
        for one, began, admitted, ended in zip(exchanges, first, admits, final, strict=True)
    ]
