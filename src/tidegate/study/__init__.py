"""Experiments that answer questions about recurrent networks, each by one command: `tidegate study NAME`.

A study is a module of this folder with a `STUDY`: which conditions it compares, how one of them is measured with one
seed, and what follows from all that was measured. Seeds, progress, intervals and reports are the frame's.
"""

QUESTIONS = {
    "vanishing": "How far back can a vanilla RNN learn from, and how far a GRU or an LSTM?",
    "reset-gate": "Why a reset gate, when the update gate can also erase?",
    "activation": "What do the candidate's tanh and the gates' sigmoid do for a GRU?",
    "short-memory": "Do units with a short memory have active reset gates?",
    "summaries": "When is a summary that knows the order of words worth its price?",
    "attribution": "Do three ways to say which words mattered agree, and are they right?",
}
"""The studies and what they ask, in the order of the summary page."""
