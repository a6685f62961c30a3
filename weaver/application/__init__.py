"""Applications in this process: found, checked, run, and reached from code outside components."""

from weaver.application.check import check_target, describe_graph
from weaver.application.run import run, run_target
from weaver.application.target import load_target

__all__ = ["check_target", "describe_graph", "load_target", "run", "run_target"]
