#!/usr/bin/env bash
# transformers 5.24.0: o índice de um checkpoint em partes traz, em metadata, o total_parameters ao lado do total_size.
# Num modelo que o compressed-tensors 0.20.1 empacotou em W4A16, ele conta cada int32, que guarda oito pesos, como um
# só, e ainda as escalas e o weight_shape: são os elementos gravados, e não os parâmetros do modelo.
# Quem divide total_size por total_parameters para saber a precisão lê aqui 3.67 bytes por parâmetro, em vez de 0.54.
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
import sys
from importlib.metadata import version

import torch
import transformers
from compressed_tensors.compressors import ModelCompressor
from compressed_tensors.quantization import QuantizationConfig, apply_quantization_config, preset_name_to_scheme
from transformers import LlamaConfig, LlamaForCausalLM

torch.manual_seed(0)
model = LlamaForCausalLM(LlamaConfig(
    hidden_size=256, intermediate_size=1024, num_hidden_layers=4, num_attention_heads=4,
    num_key_value_heads=2, vocab_size=128, tie_word_embeddings=False)).to(torch.bfloat16)
parameters = model.num_parameters()


def index(folder):
    """O metadata do índice do modelo, gravado em partes."""
    model.save_pretrained(folder, max_shard_size="500KB")
    with open(folder + "/model.safetensors.index.json", encoding="utf-8") as file:
        return json.load(file)["metadata"]


plain = index("bf16")
scheme = preset_name_to_scheme("W4A16", ["Linear"])
apply_quantization_config(model, QuantizationConfig(
    config_groups={"group_0": scheme}, ignore=["lm_head"], quantization_status="frozen"))
for module in model.modules():
    if hasattr(module, "weight_scale"):
        groups = module.weight.detach().unflatten(1, (-1, scheme.weights.group_size))
        module.weight_scale.data.copy_(groups.abs().amax(-1) / 7)
ModelCompressor.from_pretrained_model(model).compress_model(model)
packed = index("w4a16")

print(f"transformers {transformers.__version__}, compressed-tensors {version('compressed-tensors')}")
print(f"Parâmetros do modelo, antes de quantizar: {parameters:,}")
for name, metadata in (("bf16", plain), ("W4A16", packed)):
    size, count = metadata["total_size"], metadata["total_parameters"]
    print(f"{name}: total_size {size:,}, total_parameters {count:,}, {size / count:.2f} bytes cada um; "
          f"{8 * size / parameters:.2f} bits por parâmetro do modelo")

same = (transformers.__version__ == "5.24.0" and version("compressed-tensors") == "0.20.1"
        and plain["total_parameters"] == parameters and plain["total_size"] == 2 * parameters
        and 6 < parameters / packed["total_parameters"] < 8
        and packed["total_size"] > 3 * packed["total_parameters"]
        and 8 * packed["total_size"] < 5 * parameters)
if not same:
    sys.exit("O comportamento mudou.")
print(f"O comportamento é o descrito: o índice diz {parameters / packed['total_parameters']:.1f} vezes "
      "menos parâmetros.")
PY
