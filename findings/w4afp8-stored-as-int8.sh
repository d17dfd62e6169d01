#!/usr/bin/env bash
# compressed-tensors 0.20.1, esquema pronto W4AFP8: os pesos declaram num_bits 4, mas vão para o disco no formato
# int-quantized, um int8 por peso. Com uma escala bf16 a cada 128 pesos, são 8.125 bits por peso.
# O checkpoint ocupa quase o dobro do que o "W4" sugere; o W4A16, que empacota, fica em pouco mais de 4.125 bits.
# Onde o torch do PyPI é o de CUDA, a instalação baixa alguns GB; o modelo, minúsculo, usa apenas a CPU.
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
    torch==2.13.0 transformers==5.24.0 compressed-tensors==0.20.1

cd "$folder"
HF_HUB_OFFLINE=1 TRANSFORMERS_VERBOSITY=error TQDM_DISABLE=1 PYTHONUTF8=1 "$folder/venv/bin/python" - <<'PY'
import json
import os
import sys
from importlib.metadata import version

import torch
from compressed_tensors.compressors import ModelCompressor
from compressed_tensors.quantization import QuantizationConfig, apply_quantization_config, preset_name_to_scheme
from safetensors.torch import load_file
from transformers import LlamaConfig, LlamaForCausalLM


def saved(preset):
    """Quantiza um Llama minúsculo, salva-o e lê do disco o que se declarou e o que se gravou."""
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(
        hidden_size=256, intermediate_size=512, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, vocab_size=128, tie_word_embeddings=False)).to(torch.bfloat16)
    layers = {name: module for name, module in model.named_modules()
              if isinstance(module, torch.nn.Linear) and name != "lm_head"}
    weights = sum(module.weight.numel() for module in layers.values())
    scheme = preset_name_to_scheme(preset, ["Linear"])
    apply_quantization_config(model, QuantizationConfig(
        config_groups={"group_0": scheme}, ignore=["lm_head"], quantization_status="frozen"))
    for module in layers.values():  # cada grupo de pesos cabe em -7..7
        groups = module.weight.detach().unflatten(1, (-1, scheme.weights.group_size))
        module.weight_scale.data.copy_(groups.abs().amax(-1) / 7)
    compressor = ModelCompressor.from_pretrained_model(model)
    compressor.compress_model(model)
    model.save_pretrained(preset)
    compressor.update_config(preset)
    with open(os.path.join(preset, "config.json"), encoding="utf-8") as file:
        declared = json.load(file)["quantization_config"]
    tensors = {name: tensor for name, tensor in load_file(os.path.join(preset, "model.safetensors")).items()
               if name.rpartition(".")[0] in layers}
    bits = 8 * sum(tensor.numel() * tensor.element_size() for tensor in tensors.values()) / weights
    kinds = sorted({(name.rpartition(".")[2], str(tensor.dtype)) for name, tensor in tensors.items()})
    integers = [tensor for name, tensor in tensors.items() if tensor.dtype == torch.int8]
    span = (min(int(t.min()) for t in integers), max(int(t.max()) for t in integers)) if integers else None
    return declared["config_groups"]["group_0"]["weights"]["num_bits"], declared["format"], bits, kinds, span


print(f"compressed-tensors {version('compressed-tensors')}, torch {torch.__version__}")
result = {preset: saved(preset) for preset in ("W4AFP8", "W4A16")}
for preset, (num_bits, layout, bits, kinds, span) in result.items():
    print(f"{preset}: num_bits {num_bits}, formato {layout}, {bits:.3f} bits por peso no arquivo")
    print("  tensores: " + ", ".join(f"{name} ({dtype})" for name, dtype in kinds))
    if span:
        print(f"  valores int8 gravados: de {span[0]} a {span[1]}; caberiam em 4 bits")

num_bits, layout, bits, kinds, span = result["W4AFP8"]
packed_bits, packed_layout, packed, _, _ = result["W4A16"]
same = (version("compressed-tensors") == "0.20.1" and (num_bits, layout, bits) == (4, "int-quantized", 8.125)
        and kinds == [("weight", "torch.int8"), ("weight_scale", "torch.bfloat16")]
        and span is not None and -8 <= span[0] and span[1] <= 7
        and (packed_bits, packed_layout) == (4, "pack-quantized") and 4.125 <= packed < 4.13)
if not same:
    sys.exit("O comportamento mudou.")
print(f"O comportamento é o descrito: o W4AFP8 ocupa {bits / packed:.2f} vezes o W4A16.")
PY
