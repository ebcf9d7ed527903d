#!/usr/bin/env bash
# After Unicode normalisation, tokenizers' offsets cut the last accent of a word, and the last Hangul syllable.
#
# Versions: tokenizers 0.23.3.
# Expected: `offsets` are places in the text that was given, whatever the normaliser does: text[start:end] is the word.
# Seen: with NFC or NFKC, where a composed letter ends a word, its end is that of the first character that went into it:
#     none       cafe◌́ -> (0, 5)   three syllables in 6 jamo -> (0, 6)
#     NFC, NFKC  cafe◌́ -> (0, 4)   three syllables in 6 jamo -> (0, 4)
#   A letter before the last one of a word, as in `olé!`, has no effect: the end there is that of the next character.
# Why it matters: who marks words by offsets (highlighting, named entities, contributions of words) leaves an accent out, or
#   half a syllable; texts from macOS and from PDFs are decomposed.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -q tokenizers==0.23.3
cd "$tmp"
venv/bin/python - <<'PY'
import tokenizers
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

print("tokenizers", tokenizers.__version__)
words = ["cafe\u0301", "\u1112\u1161\u11ab\u1100\u1173\u11af", "ole\u0301!"]
seen = {}
for name, normalizer in (("none", None), ("NFC", normalizers.NFC()), ("NFKC", normalizers.NFKC())):
    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    if normalizer:
        tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    seen[name] = [tokenizer.encode(f"{word} then").offsets[0] for word in words]
    print(f"{name:5}", *seen[name])
assert seen["none"] == [(0, 5), (0, 6), (0, 5)]
assert seen["NFC"] == seen["NFKC"] == [(0, 4), (0, 4), (0, 5)]
PY
