"""Weights of other frameworks, in and out, each conversion with a measured error.

How a framework orders gates, transposes matrices and joins biases is data of `tidegate.ops.layouts`.
"""

from tidegate.convert.certificate import Certificate as Certificate
from tidegate.convert.certificate import ConversionError as ConversionError
from tidegate.convert.conversion import Conversion as Conversion
from tidegate.convert.conversion import convert as convert
