"""Where the time of some work goes, by torch's profiler."""

from collections.abc import Callable

from torch.profiler import ProfilerActivity, profile, record_function

KINDS = {
    "matrix products": ("aten::mm", "aten::addmm", "aten::bmm", "aten::matmul", "aten::linear", "mkldnn"),
    "attention": ("scaled_dot_product", "_flash_attention", "_fused_sdp", "aten::_softmax"),
    "copies": ("aten::copy_", "aten::cat", "aten::clone", "aten::repeat", "aten::index", "aten::gather", "aten::fill_"),
}
_ALL = "everything profiled"


def profiled(work: Callable[[], object]) -> dict[str, float]:
    """The shares of `work`'s time by kind of operator, and of Python and the profiler between operators."""
    with profile(activities=[ProfilerActivity.CPU]) as found, record_function(_ALL):
        work()
    spent = dict.fromkeys((*KINDS, "other operators", "Python between operators"), 0.0)
    for event in found.key_averages():
        kind = next((kind for kind, names in KINDS.items() if any(name in event.key for name in names)), None)
        if event.key == _ALL:
            kind = "Python between operators"
        spent[kind or "other operators"] += event.self_cpu_time_total
    whole = sum(spent.values())
    return {kind: time / whole for kind, time in spent.items()}
