"""The nets of preset paper in PyTorch: an engine that peers.py compares.

    peers_torch.py choose WORK DIR THREADS N    name of the faster memory layout
    peers_torch.py WORK DIR THREADS N LAYOUT    repetitions, as asked on stdin
    peers_torch.py losses DIR THREADS CONTRASTIVE   of the first training steps
    peers_torch.py export DIR N                     DIR/generator-N.onnx
WORK: infer, train, train-disc-infonce.  CONTRASTIVE: none, disc-infonce.

DIR holds the weights and images that `peer_net make` wrote.  A WORK writes "ready", then for every line on stdin the milliseconds of one repetition, until stdin ends.
"""

import json
import struct
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_weights

SIDE = 256
LOSS_STEPS = 3
LAYOUTS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
LAMBDA_SSIM, LAMBDA_TV = 10.0, 1e-4  # of preset paper; L1 and GAN have weight 1
TAU, PASSES = 0.1, 4  # of the contrastive term


# ---- nets: names and order of pix2pix (Isola et al., CVPR 2017), so that its files fit ----


class Block(nn.Module):
    def __init__(self, outer, inner, source=None, inside=None, place="middle"):
        super().__init__()
        self.outermost = place == "outermost"
        source = outer if source is None else source
        down = nn.Conv2d(source, inner, 4, 2, 1, bias=False)
        joined = inner if place == "innermost" else 2 * inner
        up = nn.ConvTranspose2d(joined, outer, 4, 2, 1, bias=self.outermost)
        if self.outermost:
            layers = [down, inside, nn.ReLU(True), up, nn.Tanh()]
        elif place == "innermost":
            layers = [nn.LeakyReLU(0.2, True), down, nn.ReLU(True), up, nn.BatchNorm2d(outer)]
        else:
            layers = [nn.LeakyReLU(0.2, True), down, nn.BatchNorm2d(inner), inside,
                      nn.ReLU(True), up, nn.BatchNorm2d(outer)]
            if place == "dropout":
                layers.append(nn.Dropout(0.5))
        self.model = nn.Sequential(*layers)

    def forward(self, x):
        return self.model(x) if self.outermost else torch.cat([x, self.model(x)], 1)


class Unet(nn.Module):
    """Seven downs, 64 channels first."""

    def __init__(self, dropout=True):
        super().__init__()
        middle = "dropout" if dropout else "middle"
        block = Block(512, 512, place="innermost")
        for _ in range(2):
            block = Block(512, 512, inside=block, place=middle)
        for outer in (256, 128, 64):
            block = Block(outer, 2 * outer, inside=block)
        self.model = Block(1, 64, source=1, inside=block, place="outermost")

    def forward(self, x):
        return self.model(x)


def patchgan():
    net = nn.Module()
    layers = [nn.Conv2d(2, 64, 4, 2, 1), nn.LeakyReLU(0.2, True)]
    for source, to, stride in ((64, 128, 2), (128, 256, 2), (256, 512, 1)):
        layers += [nn.Conv2d(source, to, 4, stride, 1, bias=False), nn.BatchNorm2d(to),
                   nn.LeakyReLU(0.2, True)]
    layers.append(nn.Conv2d(512, 1, 4, 1, 1))
    net.model = nn.Sequential(*layers)
    net.forward = lambda x: net.model(x)
    return net


# ---- files ----


def read_tensors(path):
    """A safetensors file as a state_dict: 8 bytes of header length, JSON, raw tensors."""
    types = {"F32": np.float32, "I64": np.int64}
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        header.pop("__metadata__", None)
        tensors = {}
        for name, entry in header.items():
            begin, end = entry["data_offsets"]
            file.seek(8 + length + begin)
            array = np.frombuffer(bytearray(file.read(end - begin)), types[entry["dtype"]])
            tensors[name] = torch.from_numpy(array.reshape(entry["shape"]))
    return tensors


def read_images(folder, name, count):
    data = np.fromfile(folder / f"{name}.bin", np.float32, count * SIDE * SIDE)
    return torch.from_numpy(data.reshape(count, 1, SIDE, SIDE))


def generator(folder, layout="contiguous", dropout=True):
    net = Unet(dropout)
    net.load_state_dict(read_tensors(folder / "generator.safetensors"))
    return net.to(memory_format=LAYOUTS[layout])


# ---- work ----


class Inference:
    def __init__(self, folder, count, layout):
        self.folder, self.count = folder, count
        self.net = generator(folder, layout).eval()
        self.x = read_images(folder, "noisy", count).contiguous(memory_format=LAYOUTS[layout])

    def run(self):
        with torch.no_grad():
            self.y = self.net(self.x)

    def end(self):
        self.y.contiguous().numpy().tofile(self.folder / f"pytorch-{self.count}.bin")


def dssim(x, y):
    """(1 - SSIM) / 2 with a Gaussian window of 5 x 5, sigma 1.5, reflected border."""
    line = torch.exp(-((torch.arange(5.0) - 2) ** 2) / 4.5)
    line /= line.sum()
    x, y = (x + 1) / 2, (y + 1) / 2
    maps = torch.cat([x, y, x * x, y * y, x * y])
    maps = F.conv2d(F.pad(maps, (2, 2, 2, 2), "reflect"), torch.outer(line, line)[None, None])
    mx, my, xx, yy, xy = maps.chunk(5)
    c1, c2 = 0.01**2, 0.03**2
    ssim = ((2 * mx * my + c1) * (2 * (xy - mx * my) + c2)
            / ((mx * mx + my * my + c1) * (xx - mx * mx + yy - my * my + c2)))
    return ((1 - ssim) / 2).clamp(0, 1).mean()


def total_variation(x):
    vertical = (x[:, :, 1:] - x[:, :, :-1]).abs().sum()
    horizontal = (x[:, :, :, 1:] - x[:, :, :, :-1]).abs().sum()
    return (vertical + horizontal) / len(x)


class View:
    """What one pass of the contrastive term makes of a batch of pairs: a blur of all of
    them, flips and resized crops of each."""

    def __init__(self, rows):
        self.blurs = rows[0][0] == 1
        self.rows = [row[1:] for row in rows]

    @classmethod
    def drawn(cls, count, rng):
        """As the authors' code draws them, but for crops that do not fit."""
        rows = []
        for _ in range(count):
            area, aspect = rng.uniform(0.08, 1), np.exp(rng.uniform(-1, 1) * np.log(4 / 3))
            w = min(SIDE, round(SIDE * float(np.sqrt(area * aspect))))
            h = min(SIDE, round(SIDE * float(np.sqrt(area / aspect))))
            rows.append([0, int(rng.integers(2)), int(rng.integers(SIDE - w + 1)),
                         int(rng.integers(SIDE - h + 1)), w, h])
        rows[0][0] = int(rng.uniform() < 0.1)
        return cls(rows)

    def of(self, pairs, layout):
        if self.blurs:
            line = torch.exp(-((torch.arange(3.0) - 1) ** 2) / 4.5)
            line /= line.sum()
            window = torch.outer(line, line).expand(2, 1, 3, 3)
            pairs = F.conv2d(F.pad(pairs, (1, 1, 1, 1), "reflect"), window, groups=2)
        seen = []
        for pair, (flip, x, y, w, h) in zip(pairs, self.rows):
            pair = pair.flip(2) if flip else pair
            seen.append(F.interpolate(pair[None, :, y:y + h, x:x + w], (SIDE, SIDE),
                                      mode="bilinear", align_corners=True))
        return torch.cat(seen).contiguous(memory_format=layout)


class Contrast:
    """InfoNCE on the discriminator's logits of two views of each pair, generated and
    clean, through a fixed head."""

    def __init__(self, folder, count, layout):
        weights = read_tensors(folder / "head.safetensors")
        self.first, self.last = weights["0.weight"][:, :, 0, 0], weights["2.weight"][:, :, 0, 0]
        rows = [[int(n) for n in line.split()]
                for line in (folder / "views.txt").read_text().splitlines()]
        self.views = [View(rows[i:i + 4]) for i in range(0, len(rows), 4)]
        self.count, self.layout, self.rng = count, layout, np.random.default_rng(1)

    def next_views(self):
        """Those of denoised as long as there are some, so that losses can be compared."""
        if self.count == 4 and self.views:
            views, self.views = self.views[:PASSES], self.views[PASSES:]
            return views
        return [View.drawn(self.count, self.rng) for _ in range(PASSES)]

    def head(self, logits):
        hidden = F.leaky_relu(F.linear(logits.flatten(1), self.first), 0.01)
        return F.linear(hidden, self.last)

    def loss(self, d, fake, real):
        queries_fake, queries_real, keys_fake, keys_real = (
            self.head(d(view.of(pairs, self.layout)))
            for view, pairs in zip(self.next_views(), (fake, real, fake, real)))
        queries = torch.cat([queries_fake, queries_real])
        keys = torch.cat([keys_fake, keys_real])
        return F.cross_entropy(queries @ keys.T / TAU, torch.arange(len(queries)))


class Training:
    """One step in the order of pix2pix: D on a fixed fake and on the real image, then G
    through a frozen D."""

    def __init__(self, folder, count, layout, dropout=True, contrastive=False):
        form = LAYOUTS[layout]
        self.contrast = Contrast(folder, count, form) if contrastive else None
        self.g = generator(folder, layout, dropout)
        self.d = patchgan()
        self.d.load_state_dict(read_tensors(folder / "discriminator.safetensors"))
        self.d.to(memory_format=form)
        self.x = read_images(folder, "noisy", count).contiguous(memory_format=form)
        self.y = read_images(folder, "clean", count).contiguous(memory_format=form)
        adam = {"lr": 2e-4, "betas": (0.5, 0.999)}
        self.adam_g = torch.optim.Adam(self.g.parameters(), **adam)
        self.adam_d = torch.optim.Adam(self.d.parameters(), **adam)

    @staticmethod
    def gan(logits, label):
        return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, label))

    def freeze_d(self, frozen):
        for parameter in self.d.parameters():
            parameter.requires_grad_(not frozen)

    def run(self):
        fake = self.g(self.x)
        of = {}
        pairs_fake = torch.cat([self.x, fake.detach()], 1)
        pairs_real = torch.cat([self.x, self.y], 1)
        self.freeze_d(False)
        if self.contrast is not None:
            self.adam_d.zero_grad(set_to_none=True)
            of["loss_contrastive"] = self.contrast.loss(self.d, pairs_fake, pairs_real)
            of["loss_contrastive"].backward()
            self.adam_d.step()
        self.adam_d.zero_grad(set_to_none=True)
        of_fake = self.gan(self.d(pairs_fake), 0.0)
        of_real = self.gan(self.d(pairs_real), 1.0)
        loss_d = 0.5 * (of_fake + of_real)
        loss_d.backward()
        self.adam_d.step()

        self.freeze_d(True)
        self.adam_g.zero_grad(set_to_none=True)
        gan = self.gan(self.d(torch.cat([self.x, fake], 1)), 1.0)
        l1, ssim, tv = F.l1_loss(fake, self.y), dssim(fake, self.y), total_variation(fake)
        loss_g = gan + l1 + LAMBDA_SSIM * ssim + LAMBDA_TV * tv
        loss_g.backward()
        self.adam_g.step()
        self.losses = {**of, "loss_g": loss_g, "loss_gan": gan, "loss_d": loss_d,
                       "loss_l1": l1, "loss_ssim": ssim, "loss_tv": tv}

    def end(self):
        pass


class ContrastiveTraining(Training):
    def __init__(self, folder, count, layout):
        super().__init__(folder, count, layout, contrastive=True)


WORKS = {"infer": Inference, "train": Training, "train-disc-infonce": ContrastiveTraining}


def milliseconds(work):
    begin = time.perf_counter()
    work.run()
    return 1e3 * (time.perf_counter() - begin)


def serve(work):
    work.run()
    print("ready", flush=True)
    for _ in sys.stdin:
        print(f"{milliseconds(work):.4f}", flush=True)
    work.end()


def choose(name, folder, count):
    times = {}
    for layout in LAYOUTS:
        work = WORKS[name](folder, count, layout)
        work.run()
        times[layout] = min(milliseconds(work) for _ in range(5 if name == "infer" else 2))
    print(min(times, key=times.get))


def losses(folder, contrastive):
    work = Training(folder, 4, "contiguous", dropout=False,
                    contrastive=contrastive == "disc-infonce")
    for step in range(1, LOSS_STEPS + 1):
        work.run()
        for name, value in work.losses.items():
            print(step, name, f"{value.item():.9g}")


# ---- ONNX ----


def fold(net):
    """Batch norms go into the weights before them, as ONNX Runtime cannot do by itself
    where the convolution is a transposed one."""
    for block in net.modules():
        if not isinstance(block, nn.Sequential):
            continue
        for i in range(1, len(block)):
            conv, norm = block[i - 1], block[i]
            if isinstance(norm, nn.BatchNorm2d):
                conv.weight, conv.bias = fuse_conv_bn_weights(
                    conv.weight, conv.bias, norm.running_mean, norm.running_var, norm.eps,
                    norm.weight, norm.bias, transpose=isinstance(conv, nn.ConvTranspose2d))
                block[i] = nn.Identity()


def export(folder, count):
    net = generator(folder).eval()
    fold(net)
    with torch.no_grad():
        torch.onnx.export(net, read_images(folder, "noisy", count),
                          str(folder / f"generator-{count}.onnx"), input_names=["x"],
                          output_names=["y"], opset_version=13)


def main(what, *rest):
    if what == "choose":
        what, rest = "choose", list(rest)
        name = rest.pop(0)
    folder, number = Path(rest[0]), int(rest[1])
    torch.manual_seed(1)
    torch.set_flush_denormal(True)
    if what == "export":
        return export(folder, number)
    torch.set_num_threads(number)
    if what == "losses":
        return losses(folder, rest[2])
    if what == "choose":
        return choose(name, folder, int(rest[2]))
    return serve(WORKS[what](folder, int(rest[2]), rest[3]))


if __name__ == "__main__":
    main(*sys.argv[1:])
