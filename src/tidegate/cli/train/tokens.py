"""`tidegate train --task next` on texts: what is read, what is refused, and what is said of it."""

from typing import Any

from tidegate.cli.console import plural, say
from tidegate.cli.reading.texts import running_texts
from tidegate.cli.train.request import Request
from tidegate.training.data.examples import MAX_LENGTH, TextExamples
from tidegate.training.data.next_tokens import prepare_tokens
from tidegate.training.data.tasks import check_words
from tidegate.training.ngrams.parts import AUTO


def read_tokens(request: Request, text: str | None, words: Any, seed: int) -> TextExamples:
    """Reads texts whose words or characters are to be foreseen.

    Args:
        request: What was asked for.
        text: Column of the texts; None to guess it.
        words: Options that only texts have.
        seed: Seed of the choice of what is held out.

    Raises:
        ValueError: Something is asked for that such a task has not, or there is no text.
    """
    if request.asked.labels:
        raise ValueError("--task next predicts the words of the texts themselves, so there is no --label")
    if request.wanted.horizon > 1:
        raise ValueError("--horizon is about sequences of numbers: of texts, one word is foreseen after each")
    if request.wanted.residual is not None:
        raise ValueError("--residual and --no-residual are about sequences of numbers, but these are texts")
    if words.parts != AUTO:
        raise ValueError("--parts is about classifiers, but --task next predicts the words of the texts themselves")
    if words.max_length != MAX_LENGTH:
        raise ValueError("--max-length leaves out the ends of texts, which --task next reads to their ends")
    found = running_texts(request.file, request.kind, text)
    if found.column:
        check_words(found.texts, found.column, named=text is not None)
    held: Any = request.share(nothing=True)
    if held is None:
        held = running_texts(request.validation, request.kind, text).texts
    say(f"texts: {found.said} of {request.file}")
    limits = {"vocab_size": words.vocab_size, "tokens": words.tokens, "bptt": words.bptt}
    return prepare_tokens(found.texts, validation=held, seed=seed, **limits)


def describe_tokens(examples: TextExamples, seconds: float) -> None:
    """Prints what was read."""
    train, held = examples.train, examples.validation
    say(
        f"{plural(len(train.corpus), 'text')}, {train.steps:,} {examples.unit}, to train on and "
        f"{held.steps:,} {examples.unit} to judge by, read in {seconds:.1f} s"
    )
    say(f"to predict: the next of {len(examples.tokenizer):,} {examples.unit}, and where a text ends")
