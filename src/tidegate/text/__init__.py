"""Words: the tokenizer that turns texts into numbers, and files of word vectors to start training from."""

from tidegate.text.tokenizer import Tokenizer as Tokenizer
from tidegate.text.vectors import WordVectors as WordVectors
