"""Cache of keys and values for step-by-step self-attention."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from kochi.attention import ProjectedMemory

FIRST_CAPACITY = 128  # slots; unwritten ones are never read


@dataclass(frozen=True)
class Cache:
    """Keys and values in the order they were written, shared by the beams of a sentence.

    A step writes one slot per beam. Reordering beams copies no keys: a beam only records which
    slots are its own past. Buffers grow by doubling. `write` fills a free slot in place, so a state
    may be continued only once.

    Attributes:
        keys: One buffer per layer.
        values: One buffer per layer.
        past: The slots of each beam's own past, in order; None while every beam owns every slot.
        slot_positions: The target position of each slot.
    """

    keys: tuple[Float[Tensor, "batch heads capacity head_size"], ...]
    values: tuple[Float[Tensor, "batch heads capacity head_size"], ...]
    past: Int[Tensor, "batch width position"] | None
    slot_positions: Int[Tensor, " slots"]

    @classmethod
    def empty(
        cls,
        batch: int,
        width: int,
        num_layers: int,
        num_heads: int,
        like: Float[Tensor, "b s size"],
    ) -> "Cache":
        """Return a cache without slots."""
        shape = (batch, num_heads, max(FIRST_CAPACITY, width), like.shape[-1] // num_heads)
        buffers = [like.new_empty(shape) for _ in range(2 * num_layers)]
        none = torch.zeros(0, dtype=torch.long, device=like.device)
        past = None if width == 1 else none.expand(batch, width, 0)
        return cls(tuple(buffers[:num_layers]), tuple(buffers[num_layers:]), past, none)

    @property
    def num_slots(self) -> int:
        """Number of slots in use."""
        return len(self.slot_positions)

    def advance(self, width: int, position: int) -> "Cache":
        """Reserve one slot per beam for target position ``position``, to be filled by `write`."""
        first, end = self.num_slots, self.num_slots + width
        added = torch.full((width,), position, device=self.slot_positions.device)
        past = self.past
        if past is not None:
            own = torch.arange(first, end, device=past.device).expand(len(past), -1)
            past = torch.cat([past, own.unsqueeze(-1)], dim=-1)
        keys, values = self.keys, self.values
        if end > keys[0].shape[2]:
            keys, values = tuple(map(_double, keys)), tuple(map(_double, values))
        return Cache(keys, values, past, torch.cat([self.slot_positions, added]))

    def write(self, layer: int, step: ProjectedMemory) -> ProjectedMemory:
        """Fill the slots reserved last and return all slots in use."""
        end = self.num_slots
        first = end - step.keys.shape[2]
        self.keys[layer][:, :, first:end] = step.keys
        self.values[layer][:, :, first:end] = step.values
        return self.read(layer)

    def read(self, layer: int) -> ProjectedMemory:
        """Return all slots in use."""
        end = self.num_slots
        return ProjectedMemory(self.keys[layer][:, :, :end], self.values[layer][:, :, :end])

    def mask(self) -> Tensor | None:
        """Return the slots each beam may attend to, [batch, width, slots]; None for all."""
        if self.past is None:
            return None
        batch, width, _ = self.past.shape
        hidden = torch.zeros(
            batch, width, self.num_slots, dtype=torch.bool, device=self.past.device
        )
        return hidden.scatter_(2, self.past, True)

    def reorder(self, beams: Int[Tensor, "batch width"]) -> "Cache":
        """Give each new beam the past of an old one."""
        past = self.past
        if past is None:
            if beams.shape[1] == 1:
                return self
            slots = torch.arange(self.num_slots, device=beams.device)
            return replace(self, past=slots.expand(*beams.shape, -1))
        index = beams.unsqueeze(-1).expand(-1, -1, past.shape[2])
        return replace(self, past=past.gather(1, index))

    def keep(self, rows: Int[Tensor, " kept"]) -> "Cache":
        """Keep only the given sentences."""
        return Cache(
            tuple(buffer.index_select(0, rows) for buffer in self.keys),
            tuple(buffer.index_select(0, rows) for buffer in self.values),
            None if self.past is None else self.past.index_select(0, rows),
            self.slot_positions,
        )


def _double(buffer: Tensor) -> Tensor:
    return torch.cat([buffer, torch.empty_like(buffer)], dim=2)
