"""SwinUNETR's encoder (SwinViT) on small patches: MONAI's values, without the work on padding.

The network is `SwinUNETR(in_channels=1, out_channels=14, feature_size=48)` of MONAI: windows of 7 x 7 x 7 tokens, two
blocks a stage, the second one's windows shifted by 3 (Hatamizadeh et al. 2022, arXiv:2201.01266; pre-training: Tang et
al. 2022, arXiv:2111.14791). A patch of 32 x 32 x 16 voxels has 16 x 16 x 8 tokens, which MONAI pads to 21 x 21 x 14.
Here only real tokens are worked on, and the result is the same because

- a padded token is zero after the normalisation, so every padded key of a window equals the bias of the key layer, and
  every padded value that of the value layer: all of them act as one key, whose position bias is the logarithm of the
  sum of their exponentials;
- the outputs of padded queries are thrown away;
- tokens of different regions of a shifted window see each other with a bias of -100, that is a weight near 1e-43:
  the regions are computed apart.

Tokens are kept in the order of the windows, so that a window is a slice. Spatial axes are (row, column, slice): the
last is the slice axis, as in the published code, which read NIfTI files in the order x, y, z.
"""

import logging
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812

from ct4bench.core.errors import UserError
from ct4bench.features.encoder import INTENSITIES, SHAPE, Encoder, EncoderOptions
from ct4bench.features.weights import Parameter, load_weights, random_weights

WIDTH = 48
HEADS = (3, 6, 12, 24)
HEAD_WIDTH = 16
N_BLOCKS = 2
WINDOW = 7
SHIFT = 3
MLP_RATIO = 4
ROWS_AT_ONCE = 2048
"""Tokens whose hidden layer is computed at once on a CPU, so that it stays in the second-level cache."""
EMBEDDING = 2
"""Voxels of a token along each axis."""

LAYERS = (0, 1, 2, 3, 4)
"""Outputs of the network: the embedding and the four stages, with 48, 96, 192, 384 and 768 channels."""

MERGING = {
    "current": ((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (1, 0, 1), (0, 1, 1), (1, 1, 1)),
    "legacy": ((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 0, 1), (0, 1, 0), (0, 0, 1), (1, 1, 1)),
}
"""Which of 2 x 2 x 2 tokens are joined, in which order: as MONAI since 1.5, and as before (two tokens twice, two
never), which is how the released weights were trained (Project-MONAI/MONAI#8284)."""

IGNORED = (
    "norm.", "convTrans3d.", "rotation_head.", "contrastive_head.", "rotation_pre.", "contrastive_pre.", "conv.",
    "mask_token", "encoder1.", "encoder2.", "encoder3.", "encoder4.", "encoder10.", "decoder1.", "decoder2.",
    "decoder3.", "decoder4.", "decoder5.", "out.",
)  # fmt: skip
"""Beginnings of the names of tensors that files have beside the encoder: heads of the pre-training, and the rest of a
whole SwinUNETR."""


def width(layer: int) -> int:
    """Return the channels of an output."""
    return WIDTH * 2**layer


def parameters() -> list[Parameter]:
    """Return all tensors of the encoder, by MONAI's names and in the order in which it builds them."""
    found = []

    def linear(name, n_in, n_out, bias=True):
        found.append(Parameter(f"{name}.weight", (n_out, n_in), "uniform", n_in))
        if bias:
            found.append(Parameter(f"{name}.bias", (n_out,), "uniform", n_in))

    def normalisation(name, n):
        found.append(Parameter(f"{name}.weight", (n,), "ones"))
        found.append(Parameter(f"{name}.bias", (n,), "zeros"))

    voxels = EMBEDDING**3
    found.append(Parameter("patch_embed.proj.weight", (WIDTH, 1, *(EMBEDDING,) * 3), "uniform", voxels))
    found.append(Parameter("patch_embed.proj.bias", (WIDTH,), "uniform", voxels))
    for stage, heads in enumerate(HEADS):
        n = width(stage)
        for block in range(N_BLOCKS):
            name = f"layers{stage + 1}.0.blocks.{block}"
            normalisation(f"{name}.norm1", n)
            linear(f"{name}.attn.qkv", n, 3 * n)
            linear(f"{name}.attn.proj", n, n)
            table = f"{name}.attn.relative_position_bias_table"
            found.append(Parameter(table, ((2 * WINDOW - 1) ** 3, heads), "normal"))
            normalisation(f"{name}.norm2", n)
            linear(f"{name}.mlp.linear1", n, MLP_RATIO * n)
            linear(f"{name}.mlp.linear2", MLP_RATIO * n, n)
        linear(f"layers{stage + 1}.0.downsample.reduction", 8 * n, 2 * n, bias=False)
        normalisation(f"layers{stage + 1}.0.downsample.norm", 8 * n)
    return found


def translate(key: str) -> str | None:
    """Return MONAI's present name of a tensor of a file; None for what the encoder does not need.

    Files prefix names with `module.` (data parallel training), `swinViT.` or `swin_vit.` (a whole network), and call
    the two layers of a perceptron `fc1` and `fc2`. `relative_position_index` follows from the window and is not read.
    """
    name = key.removeprefix("module.")
    for prefix in ("swinViT.", "swin_vit."):
        name = name.removeprefix(prefix)
    if name.startswith(IGNORED) or name.endswith(".attn.relative_position_index"):
        return None
    return name.replace(".mlp.fc1.", ".mlp.linear1.").replace(".mlp.fc2.", ".mlp.linear2.")


def axis_segments(n: int, shifted: bool) -> list[tuple[list[int], list[int], list[int]]]:
    """Return the parts of one axis of `n` tokens that attend to each other: (tokens, their slots, slots of padding in a
    window).

    An axis of at most 7 tokens is one window, never shifted. A longer one is padded to windows of 7; a shift of 3
    moves the first three tokens behind the padding, where they form a region of their own.
    """
    if n <= WINDOW:
        return [(list(range(n)), list(range(n)), [])]
    padded = -(-n // WINDOW) * WINDOW
    shift = SHIFT if shifted else 0
    segments = {}
    for slot in range(padded):
        token = (slot + shift) % padded
        region = 0 if not shift or slot < padded - WINDOW else 1 if slot < padded - shift else 2
        tokens, slots, padding = segments.setdefault((slot // WINDOW, region), ([], [], []))
        if token < n:
            tokens.append(token)
            slots.append(slot % WINDOW)
        else:
            padding.append(slot % WINDOW)
    return [segment for segment in segments.values() if segment[0]]


@dataclass(frozen=True)
class Windows:
    """Windows of the same form, so that they share position biases."""

    tokens: np.ndarray
    """(windows, tokens in each): numbers of the tokens in C order of the whole grid."""
    slots: np.ndarray
    """Places of these tokens in a window, in C order."""
    padding: np.ndarray
    """Places of the window's padding."""


def window_groups(shape: tuple[int, int, int], shifted: bool) -> list[Windows]:
    """Return the windows over a grid of `shape` tokens, those of a form together; every token is in just one window."""
    size = [min(n, WINDOW) for n in shape]
    groups = {}
    for parts in product(*(axis_segments(n, shifted) for n in shape)):
        tokens = np.ravel_multi_index(np.ix_(*(part[0] for part in parts)), shape).ravel()
        real = np.ravel_multi_index(np.ix_(*(part[1] for part in parts)), size).ravel()
        every = np.ravel_multi_index(np.ix_(*(sorted(part[1] + part[2]) for part in parts)), size).ravel()
        padding = np.setdiff1d(every, real)
        groups.setdefault((real.tobytes(), padding.tobytes()), (real, padding, []))[2].append(tokens)
    return [Windows(np.array(tokens), real, padding) for real, padding, tokens in groups.values()]


def relative_index(queries: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """Return the rows of the table of position biases, (queries, keys).

    MONAI cuts the index of the whole 7 x 7 x 7 window to the first slots where a window is smaller; so a slot counts
    as one of the whole window, whatever the window's own shape.
    """
    apart = [
        q[:, None] - k[None, :] + WINDOW - 1
        for q, k in zip(*(np.unravel_index(slots, (WINDOW,) * 3) for slots in (queries, keys)), strict=True)
    ]
    return np.ravel_multi_index(apart, (2 * WINDOW - 1,) * 3)


def position_bias(table: torch.Tensor, windows: Windows) -> torch.Tensor:
    """Return the additive biases (1, heads, tokens, keys); where the window has padding, it is one more key, the
    last."""
    bias = table[torch.from_numpy(relative_index(windows.slots, windows.slots))].permute(2, 0, 1)
    if len(windows.padding):
        padding = table[torch.from_numpy(relative_index(windows.slots, windows.padding))].double()
        bias = torch.cat([bias, padding.logsumexp(1).T.unsqueeze(-1).to(bias.dtype)], dim=2)
    return bias.unsqueeze(0).contiguous()


def merged_tokens(shape: tuple[int, int, int], merging: str) -> np.ndarray:
    """Return the tokens (merged, 8) of a grid of `shape` that one token of the next stage joins; -1 stands for
    padding."""
    padded = [n + n % 2 for n in shape]
    numbers = np.full(padded, -1)
    numbers[tuple(slice(n) for n in shape)] = np.arange(np.prod(shape)).reshape(shape)
    return np.stack([numbers[i::2, j::2, k::2].ravel() for i, j, k in MERGING[merging]], axis=1)


@dataclass(frozen=True)
class _Block:
    """One transformer block of a batch: rows to take from those before, and the slices of the windows."""

    name: str
    heads: int
    rows: torch.Tensor
    windows: list[tuple[int, int, bool, torch.Tensor]]
    """(number of windows in the batch, tokens in each, whether padding is a key, position bias)."""


@dataclass(frozen=True)
class _Stage:
    blocks: list[_Block]
    merging: torch.Tensor
    """Rows (tokens after merging x 8) of the last block's; one past the last row is zero."""
    padded: bool
    name: str


def _inverse(rows: np.ndarray) -> np.ndarray:
    inverse = np.empty_like(rows)
    inverse[rows] = np.arange(len(rows))
    return inverse


class SwinFeatures:
    """Pooled outputs of the encoder for patches of one shape.

    `state`: tensors by MONAI's names (`parameters`); `shape`: voxels of a patch as (rows, columns, slices), even;
    `layer`: output 0 to 4; `pooling`: `mean` or `max` over the tokens; `merging`: a key of `MERGING`.
    """

    def __init__(self, state, shape, layer=4, pooling="mean", merging="current", device="cpu"):
        if any(n % EMBEDDING for n in shape):
            raise ValueError(f"a patch of {tuple(shape)} voxels does not divide into tokens of 2 x 2 x 2")
        self.device = torch.device(device)
        self.state = {name: tensor.to(self.device, torch.float32) for name, tensor in state.items()}
        self.shape = tuple(int(n) for n in shape)
        self.layer, self.pooling, self.merging = layer, pooling, merging
        self.n_features = width(layer)
        self._plans = {}

    def _plan(self, n_patches: int) -> list[_Stage]:
        """Rows and biases of all stages up to the wanted one, for a batch of `n_patches`."""
        shape = tuple(n // EMBEDDING for n in self.shape)
        stages = []
        before = np.arange(n_patches * int(np.prod(shape)))
        for stage in range(self.layer):
            n_tokens = int(np.prod(shape))
            offsets = n_tokens * np.arange(n_patches)[:, None, None]
            blocks = []
            for block in range(N_BLOCKS):
                name = f"layers{stage + 1}.0.blocks.{block}"
                table = self.state[f"{name}.attn.relative_position_bias_table"]
                groups = window_groups(shape, shifted=block % 2 == 1)
                order = np.concatenate([(offsets + group.tokens).ravel() for group in groups])
                windows = [
                    (
                        len(group.tokens) * n_patches,
                        group.tokens.shape[1],
                        len(group.padding) > 0,
                        position_bias(table, group),
                    )
                    for group in groups
                ]
                blocks.append(_Block(name, HEADS[stage], self._rows(_inverse(before)[order]), windows))
                before = order
            joined = merged_tokens(shape, self.merging)
            joined = np.where(joined < 0, len(before), np.append(_inverse(before), 0)[offsets + joined])
            padded = bool((joined == len(before)).any())
            stages.append(_Stage(blocks, self._rows(joined.ravel()), padded, f"layers{stage + 1}.0.downsample"))
            shape = tuple(-(-n // 2) for n in shape)
            before = np.arange(n_patches * int(np.prod(shape)))
        return stages

    def _rows(self, rows: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(rows).to(self.device)

    def _linear(self, x, name):
        return F.linear(x, self.state[f"{name}.weight"], self.state.get(f"{name}.bias"))

    def _normalise(self, x, name):
        return F.layer_norm(x, x.shape[-1:], self.state[f"{name}.weight"], self.state[f"{name}.bias"])

    def _attend(self, x, block: _Block):
        """Windowed attention on rows (tokens, channels) in the order of the windows."""
        channels = x.shape[1]
        qkv = self._linear(self._normalise(x, f"{block.name}.norm1"), f"{block.name}.attn.qkv")
        _, key, value = self.state[f"{block.name}.attn.qkv.bias"].view(3, 1, block.heads, 1, HEAD_WIDTH)
        out, start = torch.empty_like(x), 0
        for n_windows, n_tokens, padded, bias in block.windows:
            stop = start + n_windows * n_tokens
            parts = qkv[start:stop].view(n_windows, n_tokens, 3, block.heads, HEAD_WIDTH)
            q, k, v = (part.transpose(1, 2) for part in parts.unbind(2))
            if padded:
                k = torch.cat([k, key.expand(n_windows, -1, -1, -1)], dim=2)
                v = torch.cat([v, value.expand(n_windows, -1, -1, -1)], dim=2)
            seen = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
            out[start:stop] = seen.transpose(1, 2).reshape(stop - start, channels)
            start = stop
        return self._linear(out, f"{block.name}.attn.proj")

    def _transform(self, x, block: _Block):
        x = x + self._attend(x, block)
        for part in x.split(ROWS_AT_ONCE) if self.device.type == "cpu" else [x]:
            hidden = self._linear(self._normalise(part, f"{block.name}.norm2"), f"{block.name}.mlp.linear1")
            part += self._linear(F.gelu(hidden), f"{block.name}.mlp.linear2")
        return x

    @torch.inference_mode()
    def __call__(self, patches: torch.Tensor) -> torch.Tensor:
        """Features (n, channels of the layer) float32 of patches (n, rows, columns, slices) float32."""
        n = len(patches)
        if tuple(patches.shape[1:]) != self.shape:
            raise ValueError(f"patches of {tuple(patches.shape[1:])} voxels, the plan is for {self.shape}")
        if n not in self._plans:
            self._plans[n] = self._plan(n)
        a, b, c = (size // EMBEDDING for size in self.shape)
        split = patches.to(self.device, torch.float32).reshape(n, a, EMBEDDING, b, EMBEDDING, c, EMBEDDING)
        x = split.permute(0, 1, 3, 5, 2, 4, 6).reshape(n * a * b * c, EMBEDDING**3)
        weight = self.state["patch_embed.proj.weight"].view(WIDTH, EMBEDDING**3)
        x = F.linear(x, weight, self.state["patch_embed.proj.bias"])
        for stage in self._plans[n]:
            for block in stage.blocks:
                x = self._transform(x[block.rows], block)
            if stage.padded:
                x = torch.cat([x, x.new_zeros(1, x.shape[1])])
            x = x[stage.merging].view(-1, 8 * x.shape[1])
            x = self._linear(self._normalise(x, f"{stage.name}.norm"), f"{stage.name}.reduction")
        x = F.layer_norm(x, x.shape[-1:]).view(n, -1, self.n_features)
        return x.mean(1) if self.pooling == "mean" else x.amax(1)


class MonaiFeatures:
    """The same values by MONAI's own network, a patch at a time. MONAI takes seconds to import.

    `lean`: MONAI's attention that does not keep its weights, which takes a tenth of a GB less.
    """

    def __init__(self, state, shape, layer=4, pooling="mean", merging="current", device="cpu", lean=False):
        from monai.networks.nets.swin_unetr import PatchMerging, SwinTransformer

        class LegacyMerging(PatchMerging):
            """MONAI's merging before its version 1.5."""

            def forward(self, x):
                """Join tokens of (n, rows, columns, slices, channels)."""
                rows, columns, slices = x.shape[1:4]
                x = F.pad(x, (0, 0, 0, slices % 2, 0, columns % 2, 0, rows % 2))
                joined = torch.cat([x[:, i::2, j::2, k::2] for i, j, k in MERGING["legacy"]], -1)
                return self.reduction(self.norm(joined))

        self.device = torch.device(device)
        self.layer, self.pooling = layer, pooling
        self.network = SwinTransformer(
            in_chans=1,
            embed_dim=WIDTH,
            window_size=(WINDOW,) * 3,
            patch_size=(EMBEDDING,) * 3,
            depths=(N_BLOCKS,) * len(HEADS),
            num_heads=HEADS,
            downsample=LegacyMerging if merging == "legacy" else "merging",
            use_flash_attention=lean,
        )
        found = self.network.load_state_dict(state, strict=False, assign=True)
        if found.unexpected_keys or any(not key.endswith("relative_position_index") for key in found.missing_keys):
            raise ValueError(f"the installed MONAI names its tensors otherwise: {found}")
        self.network.to(self.device).eval()

    @torch.inference_mode()
    def __call__(self, patches: torch.Tensor) -> torch.Tensor:
        """Features (n, channels of the layer) of patches (n, rows, columns, slices) float32."""
        found = []
        for patch in patches.to(self.device, torch.float32):
            output = self.network(patch[None, None], normalize=True)[self.layer].flatten(2)
            found.append(output.mean(2) if self.pooling == "mean" else output.amax(2))
        return torch.cat(found)


def encoder(options: EncoderOptions) -> Encoder:
    """Build SwinUNETR's encoder: 768 features, the spatial mean of its last normalised output."""
    layer = _whole(options.layer or "4", "--layer", LAYERS)
    pooling = options.pooling or "mean"
    merging = options.patch_merging or "current"
    if options.weights is None:
        weights = random_weights(parameters(), options.seed)
    else:
        weights = load_weights(
            options.weights,
            parameters(),
            translate,
            "give weights of SwinUNETR with feature size 48 and one input channel, for example the released "
            "model_swinvit.pt",
            options.weights_sha256,
        )
        if merging == "current" and options.weights.name == "model_swinvit.pt":
            logging.warning(
                "the released model_swinvit.pt was trained with MONAI's patch merging from before version 1.5; "
                "--patch_merging legacy takes that one"
            )
    choice = {"shape": SHAPE, "layer": layer, "pooling": pooling, "merging": merging, "device": options.device}
    return Encoder(
        name="swin_unetr",
        prefix="swin",
        n_features=width(layer),
        intensity=options.intensity,
        scaling=INTENSITIES[options.intensity],
        weights=weights,
        features=SwinFeatures(weights.state, **choice),
        reference=lambda: MonaiFeatures(weights.state, **choice, lean=True),
        settings={"layer": layer, "pooling": pooling, "patch_merging": merging, "reference": "monai"},
    )


def _whole(text: str, option: str, allowed: tuple[int, ...]) -> int:
    if text not in map(str, allowed):
        raise UserError(f"{option} {text} is none of {', '.join(map(str, allowed))}")
    return int(text)
