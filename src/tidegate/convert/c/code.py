"""The parts of a C file that compute: functions of numbers, a step of each cell, and a program to try a model.

`NAME` stands for the name of the model, which all names begin with.
"""

from collections.abc import Callable
from string import Template

from tidegate.ops.cells import GRU, LSTM, Cell, ReluRNN, TanhRNN

FUNCTIONS = """
/* exp(a) for a <= 0; absolute error below 1e-7. */
static float NAME_exp(float a)
{
    union { float number; uint32_t bits; } power;
    int32_t k;
    float r, sum;
    if (a != a)
        return a;
    if (a < -87.0f)
        return 0.0f;
    k = (int32_t)(a * 1.44269504f - 0.5f); /* exp(a) = 2^k exp(r), |r| <= ln(2)/2 */
    r = a - (float)k * 0.693359375f;
    r = r + (float)k * 2.12194440e-4f;
    sum = 1.98412698e-4f;
    sum = sum * r + 1.38888889e-3f;
    sum = sum * r + 8.33333333e-3f;
    sum = sum * r + 4.16666667e-2f;
    sum = sum * r + 1.66666667e-1f;
    sum = sum * r + 0.5f;
    sum = sum * r + 1.0f;
    sum = sum * r + 1.0f;
    power.bits = (uint32_t)(k + 127) << 23;
    return sum * power.number;
}
"""

SIGMOID = """
/* 1 / (1 + exp(-a)); absolute error below 2e-7. */
static float NAME_sigmoid(float a)
{
    const float e = NAME_exp(a < 0.0f ? a : -a);
    return (a < 0.0f ? e : 1.0f) / (1.0f + e);
}
"""

TANH = """
/* tanh(a); absolute error below 2e-7. */
static float NAME_tanh(float a)
{
    const float size = a < 0.0f ? -a : a, square = a * a;
    float e;
    if (size < 0.25f)
        return a + a * square * (-0.333333333f
               + square * (0.133333333f + square * (-0.0539682540f + square * 0.0218694885f)));
    e = NAME_exp(-2.0f * size);
    e = (1.0f - e) / (1.0f + e);
    return a < 0.0f ? -e : e;
}
"""

LOG = """
/* ln(a) for 1 <= a; absolute error below 2e-6, relative below 2e-7. */
static float NAME_log(float a)
{
    union { float number; uint32_t bits; } parts;
    float exponent, s, square;
    parts.number = a;
    exponent = (float)(int32_t)(parts.bits >> 23) - 127.0f;
    parts.bits = (parts.bits & 0x7fffffu) | 0x3f800000u;
    if (parts.number > 1.41421356f) {
        parts.number *= 0.5f;
        exponent += 1.0f;
    }
    s = (parts.number - 1.0f) / (parts.number + 1.0f);
    square = s * s;
    s = 2.0f * s * (1.0f + square * (0.333333333f + square * (0.2f + square * (0.142857143f + square * 0.111111111f))));
    return s + exponent * 0.693147181f;
}
"""

SIMPLE = {
    "hard_sigmoid": """
static float NAME_hard_sigmoid(float a)
{
    a = a / 6.0f + 0.5f;
    return a < 0.0f ? 0.0f : a > 1.0f ? 1.0f : a;
}
""",
    "relu": """
static float NAME_relu(float a)
{
    return a < 0.0f ? 0.0f : a;
}
""",
    "identity": """
static float NAME_identity(float a)
{
    return a;
}
""",
}

ACTIVATIONS = {"sigmoid": SIGMOID, "tanh": TANH} | SIMPLE
"""The functions of gates and candidates, each by its name."""

PRODUCT = Template("""
/* out[i] = bias[i] + sum over j of w[j][i] x[j], for rows i; a line of w has stride numbers. */
static void NAME_${kind}product(float *restrict out, const $type *restrict w, ${scale}const float *restrict bias,
                         int rows, int columns, int stride, const float *restrict x)
{
    for (int i = 0; i < rows; i++)
        out[i] = 0.0f;
    for (int j = 0; j < columns; j++)
        for (int i = 0; i < rows; i++)
            out[i] += (float)w[(size_t)j * (size_t)stride + (size_t)i] * x[j];
    for (int i = 0; i < rows; i++)
        out[i] = out[i]${scaled} + bias[i];
}
""")


def _gru(cell: GRU) -> str:
    """A step of a GRU: a is W x + b_ih, c is U h + b_hh."""
    before = cell.reset == "before"
    reset = "1.0f" if cell.reset == "off" else f"NAME_{cell.gate}(a[i] + c[i])"
    update = "0.0f" if cell.update == "off" else f"NAME_{cell.gate}(a[H + i] + c[H + i])"
    code = f"    RECUR(c, 0, {'2 * H' if before else '3 * H'}, hidden);\n"
    if before:
        code += f"    for (int i = 0; i < H; i++)\n        read[i] = {reset} * hidden[i];\n"
        code += "    RECUR(c + 2 * H, 2 * H, H, read);\n"
    past = "c[2 * H + i]" if before else "r * c[2 * H + i]"
    code += "    for (int i = 0; i < H; i++) {\n"
    code += "" if before else f"        const float r = {reset};\n"
    code += f"        const float z = {update};\n"
    code += f"        const float n = NAME_{cell.candidate}(a[2 * H + i] + {past});\n"
    return code + "        hidden[i] = z * hidden[i] + (1.0f - z) * n;\n    }\n"


def _lstm(cell: Cell) -> str:
    """A step of an LSTM."""
    return """    RECUR(c, 0, 4 * H, hidden);
    for (int i = 0; i < H; i++) {
        const float in = NAME_sigmoid(a[i] + c[i]);
        const float forget = NAME_sigmoid(a[H + i] + c[H + i]);
        const float g = NAME_tanh(a[2 * H + i] + c[2 * H + i]);
        const float o = NAME_sigmoid(a[3 * H + i] + c[3 * H + i]);
        cell_state[i] = forget * cell_state[i] + in * g;
        hidden[i] = o * NAME_tanh(cell_state[i]);
    }
"""


def _rnn(cell: ReluRNN | TanhRNN) -> str:
    """A step of a vanilla RNN."""
    return f"""    RECUR(c, 0, H, hidden);
    for (int i = 0; i < H; i++)
        hidden[i] = NAME_{cell.activation}(a[i] + c[i]);
"""


STEPS: dict[type[Cell], Callable[..., str]] = {GRU: _gru, LSTM: _lstm, TanhRNN: _rnn, ReluRNN: _rnn}
"""The code of a step of each cell; `RECUR(out, first, rows, v)` multiplies v by some rows of U, and adds b_hh."""

PROGRAM = Template("""
#ifdef NAME_MAIN
/* Reads a step a line, and an empty line or the end behind each sequence; prints vector, scores and probabilities of
   each. What is no step ends it with 2, and what the model refuses with 1 at the end.
   With a number of steps as its argument it prints sizeof(NAME_state) and the microseconds that a step takes. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static void NAME_print(const float *numbers, int count)
{
    for (int i = 0; i < count; i++)
        printf("%.9g ", (double)numbers[i]);
}

static void NAME_results(const NAME_state *state)
{
    float vector[NAME_VECTOR];
    NAME_vector(state, vector);
    NAME_print(vector, NAME_VECTOR);
$results    printf("\\n");
}

/* Whether nothing is left on a line. */
static int NAME_ended(const char *rest)
{
    while (*rest == ' ' || *rest == '\\t' || *rest == '\\r' || *rest == '\\n')
        rest++;
    return *rest == 0;
}

int main(int count, char **arguments)
{
    static NAME_state state;
    static char line[$longest];
    int wrong = 0, open = 0;
    unsigned long number = 0;
    NAME_start(&state);
    if (count > 1) {
        const long steps = strtol(arguments[1], 0, 10);
        clock_t begin;
$blank        begin = clock();
        for (long t = 0; t < steps; t++)
            NAME_step(&state, $given);
        begin = clock() - begin;
        printf("%lu %.6f\\n", (unsigned long)sizeof state, 1e6 * (double)begin / CLOCKS_PER_SEC / (double)steps);
        return 0;
    }
    while (fgets(line, sizeof line, stdin)) {
        char *rest = line, *end = line;
        int whole = 1;
        number++;
        if (NAME_ended(line)) {
            NAME_results(&state);
            NAME_start(&state);
            open = 0;
            continue;
        }
$parse        open = 1;
    }
    if (open)
        NAME_results(&state);
    return wrong;
}
#endif
""")
