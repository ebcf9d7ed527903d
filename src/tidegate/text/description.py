"""The JSON of a tokenizer, as the `tokenizers` library writes it: what must hold before the library is given it."""

from typing import Any

UNUSED = ("added_tokens", "decoder", "padding", "post_processor", "truncation")
"""Parts that are there and empty."""


def check_description(description: Any, special: tuple[str, str]) -> None:
    """Checks the parts of a tokenizer's JSON that ids and words depend on.

    Args:
        description: The value that the JSON holds.
        special: The words with ids 0 and 1.

    Raises:
        ValueError: A part is missing or is not as `pipeline` makes it.
    """
    pad, unk = special
    if not isinstance(description, dict) or not isinstance(description.get("model"), dict):
        raise ValueError("expected a JSON object with a model")  # noqa: TRY004
    model = description["model"]
    if model.get("type") != "WordLevel" or model.get("unk_token") != unk:
        raise ValueError(f"the model is {model.get('type')!r}, expected 'WordLevel' with the unknown word {unk}")
    vocab = model.get("vocab")
    for word, number in vocab.items() if isinstance(vocab, dict) else ():
        if type(number) is not int:
            raise ValueError(f"it has the id {number!r:.60} for {word!r:.60}, expected an integer")
    if not isinstance(vocab, dict) or sorted(vocab.values()) != list(range(len(vocab))):
        raise ValueError("expected a vocabulary with the ids 0, 1, 2, …")
    try:
        "".join(vocab).encode()
    except UnicodeEncodeError:
        raise ValueError("it has a word that UTF-8 cannot hold") from None
    if vocab.get(pad) != 0 or vocab.get(unk) != 1:
        raise ValueError(f"expected {pad} and {unk} as words 0 and 1")
    for key in UNUSED:
        if description.get(key):
            raise ValueError(f"it has {key}, expected none: it would change the ids or their number")
