"""Training and prediction on the machines of a Ray cluster; this needs Ray: pip install 'tidegate[ray]'."""

from tidegate.ray.training import Cluster as Cluster
from tidegate.ray.training import train_on_cluster as train_on_cluster
from tidegate.ray.working import Workers as Workers
from tidegate.ray.working import worked_on_cluster as worked_on_cluster
