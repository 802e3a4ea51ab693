"""Where torch computes."""

from ct4bench.core.errors import UserError


def choose_device(device: str) -> str:
    """Return `cpu` or `cuda`; `auto` is CUDA where there is a GPU. Sets torch to exact, repeatable float32."""
    import torch

    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" and not torch.cuda.is_available():
        raise UserError("--device cuda: torch finds no GPU here; give --device cpu or auto")
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
    torch.set_num_threads(1)
    return device
