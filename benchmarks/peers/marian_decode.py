"""Decode with one random model in transformers and in CTranslate2.

    marian_decode.py export WORK
    marian_decode.py DATA WORK SENTENCES VARIANT...

"export" makes the model and writes it for all contestants. A VARIANT is "fp32" or "bf16"
(transformers), "float32", "float32 side by side" or "int8" (CTranslate2). All get the same weights:
Transformer-Tiny in post-norm form, as Marian has it, with the bias of the end of the sentence (and
of other marks) so low that it is never chosen. So each sentence takes exactly 16 steps in every
contestant, without anybody having to forbid a token at each step.
"""

import json
import os
import shutil
import sys
import time
from pathlib import Path

import ctranslate2  # pyright: ignore[reportMissingImports]
import numpy as np
import torch
from ctranslate2.specs import (  # pyright: ignore[reportMissingImports]
    common_spec,
    transformer_spec,
)
from safetensors.torch import load_file, save_file
from transformers import MarianConfig, MarianMTModel  # pyright: ignore[reportMissingImports]

PASSES = 3  # that are timed, after one that is not
STEPS, VOCABULARY, LAYERS, HEADS, SIZE, FEEDFORWARD = 16, 8000, 4, 4, 128, 256
PAD, BOS, EOS = 1, 2, 3
NEVER = -1e4  # bias of what is never to be chosen
SPREAD = 0.1  # standard deviation of the weights: large enough that the best token stands out
SETTINGS = {"beam 5, batch 64": (5, 64), "greedy, batch 64": (1, 64), "greedy, batch 1": (1, 1)}


def configuration() -> MarianConfig:
    return MarianConfig(
        vocab_size=VOCABULARY,
        d_model=SIZE,
        encoder_layers=LAYERS,
        decoder_layers=LAYERS,
        encoder_attention_heads=HEADS,
        decoder_attention_heads=HEADS,
        encoder_ffn_dim=FEEDFORWARD,
        decoder_ffn_dim=FEEDFORWARD,
        activation_function="relu",
        dropout=0.0,
        init_std=SPREAD,
        max_position_embeddings=256,
        scale_embedding=True,
        attn_implementation="sdpa",
        pad_token_id=PAD,
        eos_token_id=EOS,
        decoder_start_token_id=BOS,
        forced_eos_token_id=None,
    )


def export(work: Path) -> None:
    """Draw the weights; write them as safetensors and as a CTranslate2 model."""
    torch.manual_seed(0)
    model = MarianMTModel(configuration())
    model.final_logits_bias[0, [PAD, BOS, EOS]] = NEVER
    tensors = {name: value.clone().contiguous() for name, value in model.state_dict().items()}
    work.mkdir(parents=True, exist_ok=True)
    save_file(tensors, work / "marian.safetensors")
    write_ctranslate2({name: value.numpy() for name, value in tensors.items()}, work / "ct2")


def write_ctranslate2(weights: dict[str, np.ndarray], folder: Path) -> None:
    relu = common_spec.Activation.RELU
    spec = transformer_spec.TransformerSpec.from_config(
        LAYERS, HEADS, pre_norm=False, activation=relu
    )
    shared = weights["model.shared.weight"]
    for side, coder in (("encoder", spec.encoder), ("decoder", spec.decoder)):
        table = coder.embeddings[0] if isinstance(coder.embeddings, list) else coder.embeddings
        table.weight = shared
        coder.scale_embeddings = True
        positions = weights[f"model.{side}.embed_positions.weight"]
        coder.position_encodings.encodings = positions
        for index, layer in enumerate(coder.layer):
            fill_layer(layer, weights, f"model.{side}.layers.{index}.")
    spec.decoder.projection.weight = shared
    spec.decoder.projection.bias = weights["final_logits_bias"][0]
    names = ct2_tokens()
    spec.register_source_vocabulary(names)
    spec.register_target_vocabulary(names)
    spec.config.decoder_start_token = names[BOS]
    spec.config.add_source_eos = False
    spec.validate()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    spec.save(str(folder))


def fill_layer(layer, weights: dict[str, np.ndarray], at: str) -> None:
    def linear(spec, *names: str) -> None:
        spec.weight = np.concatenate([weights[f"{at}{name}.weight"] for name in names])
        spec.bias = np.concatenate([weights[f"{at}{name}.bias"] for name in names])

    def norm(spec, name: str) -> None:
        spec.gamma, spec.beta = weights[f"{at}{name}.weight"], weights[f"{at}{name}.bias"]

    own = layer.self_attention
    linear(own.linear[0], *(f"self_attn.{name}_proj" for name in "qkv"))
    linear(own.linear[1], "self_attn.out_proj")
    norm(own.layer_norm, "self_attn_layer_norm")
    if f"{at}encoder_attn.q_proj.weight" in weights:
        cross = layer.attention
        linear(cross.linear[0], "encoder_attn.q_proj")
        linear(cross.linear[1], "encoder_attn.k_proj", "encoder_attn.v_proj")
        linear(cross.linear[2], "encoder_attn.out_proj")
        norm(cross.layer_norm, "encoder_attn_layer_norm")
    linear(layer.ffn.linear_0, "fc1")
    linear(layer.ffn.linear_1, "fc2")
    norm(layer.ffn.layer_norm, "final_layer_norm")


def ct2_tokens() -> list[str]:
    """Return a name for each token: CTranslate2 takes and gives strings."""
    special = {0: "<unk>", BOS: "<s>", EOS: "</s>"}
    return [special.get(i, f"t{i}") for i in range(VOCABULARY)]


def transformers_decoder(work: Path, precision: str):
    """Return a function that decodes sentences in batches of one size, shortest sentences first."""
    model = MarianMTModel(configuration()).eval()
    model.load_state_dict(load_file(work / "marian.safetensors"))
    model = model.to({"fp32": torch.float32, "bf16": torch.bfloat16}[precision])

    @torch.inference_mode()
    def decode(sources: list[list[int]], beam: int, batch: int) -> list[list[int]]:
        answers: dict[int, list[int]] = {}
        order = sorted(range(len(sources)), key=lambda i: len(sources[i]))
        for start in range(0, len(order), batch):
            chosen = order[start : start + batch]
            width = max(len(sources[i]) for i in chosen)
            rows = torch.tensor([sources[i] + [PAD] * (width - len(sources[i])) for i in chosen])
            made = model.generate(
                input_ids=rows,
                attention_mask=(rows != PAD).long(),
                num_beams=beam,
                max_new_tokens=STEPS,
                do_sample=False,
                length_penalty=1.0,
            )
            answers.update(zip(chosen, made[:, 1:].tolist(), strict=True))
        return [answers[i] for i in range(len(sources))]

    return decode


def ctranslate2_decoder(work: Path, variant: str):
    """Share all threads in each batch, or (" side by side") give each thread batches of its own."""
    threads = int(os.environ["OMP_NUM_THREADS"])
    precision, _, beside = variant.partition(" ")
    inter, intra = (threads, 1) if beside else (1, threads)
    translator = ctranslate2.Translator(
        str(work / "ct2"), "cpu", compute_type=precision, inter_threads=inter, intra_threads=intra
    )
    names = ct2_tokens()
    number = {name: i for i, name in enumerate(names)}

    def decode(sources: list[list[int]], beam: int, batch: int) -> list[list[int]]:
        results = translator.translate_batch(
            [[names[i] for i in source] for source in sources],
            beam_size=beam,
            max_batch_size=batch,
            max_decoding_length=STEPS,
            length_penalty=1.0,
        )
        return [[number[token] for token in result.hypotheses[0]] for result in results]

    return decode


def measure(variant: str, sources: list[list[int]], work: Path) -> dict[str, float]:
    """Return tokens per second in each setting; the answers are written for a comparison."""
    ours = variant in ("fp32", "bf16")
    decode = (transformers_decoder if ours else ctranslate2_decoder)(work, variant)
    result: dict[str, float] = {}
    answers: list[list[int]] = []
    for setting, (beam, batch) in SETTINGS.items():
        chosen = sources if batch > 1 else sources[: max(len(sources) // 8, 1)]
        decode(chosen, beam, batch)
        started = time.perf_counter()
        for _ in range(PASSES):
            answers = decode(chosen, beam, batch)
        result[setting] = PASSES * STEPS * len(answers) / (time.perf_counter() - started)
        assert all(len(answer) == STEPS for answer in answers), f"{variant}: not 16 steps"
        name = f"{variant}-beam{beam}-batch{batch}.json"
        (work / name).write_text(json.dumps(answers))
    return result


def main() -> None:
    if sys.argv[1] == "export":
        return export(Path(sys.argv[2]))
    data, work, count = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    lines = (data / "test.en.ids").read_text().splitlines()[:count]
    sources = [[*map(int, line.split()), EOS] for line in lines]
    print(json.dumps({variant: measure(variant, sources, work) for variant in sys.argv[4:]}))


if __name__ == "__main__":
    main()
