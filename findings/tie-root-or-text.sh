#!/usr/bin/env bash
# transformers 5.24.0, modelos com text_config: há um tie_word_embeddings na raiz e outro no text_config.
# Qual deles decide se o lm_head reaproveita os embeddings depende da família:
#   llava: basta um dos dois ser true; gemma3: só vale o da raiz; llama4: só vale o do text_config.
# Quem lê sempre o mesmo campo erra a conta dos pesos em uma matriz de vocabulário × largura.
# Onde o torch do PyPI é o de CUDA, a instalação baixa alguns GB; os modelos são construídos no dispositivo meta.
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check torch==2.13.0 transformers==5.24.0

cd "$folder"
HF_HUB_OFFLINE=1 TRANSFORMERS_VERBOSITY=error PYTHONUTF8=1 "$folder/venv/bin/python" - <<'PY'
import sys

import torch
import transformers
from transformers import (Gemma3Config, Gemma3ForConditionalGeneration, Llama4Config,
                          Llama4ForConditionalGeneration, LlavaConfig, LlavaForConditionalGeneration)

TEXT = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "head_dim": 16, "vocab_size": 512, "pad_token_id": 0}
VISION = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2,
          "image_size": 28, "patch_size": 14}
FAMILIES = {
    "llava": (LlavaConfig, LlavaForConditionalGeneration, {"model_type": "llama"},
              {"model_type": "clip_vision_model"}, {}),
    "gemma3": (Gemma3Config, Gemma3ForConditionalGeneration, {}, {}, {"mm_tokens_per_image": 4}),
    "llama4": (Llama4Config, Llama4ForConditionalGeneration,
               {"intermediate_size_mlp": 128, "num_local_experts": 2}, {}, {}),
}
# (raiz, text_config) -> o modelo tem um lm_head próprio?
CASES = [(False, False), (False, True), (True, False), (True, True)]
EXPECTED = {"llava": [not (root or text) for root, text in CASES],
            "gemma3": [not root for root, text in CASES],
            "llama4": [not text for root, text in CASES]}


def own_head(family, root, text):
    config_class, model_class, more_text, more_vision, more = FAMILIES[family]
    config = config_class(text_config={**TEXT, **more_text, "tie_word_embeddings": text},
                          vision_config={**VISION, **more_vision}, tie_word_embeddings=root, **more)
    with torch.device("meta"):
        model = model_class(config)
    # named_parameters() dá cada tensor uma só vez: um lm_head que é o próprio embedding não aparece.
    return any(name.endswith("lm_head.weight") for name, _ in model.named_parameters())


print(f"transformers {transformers.__version__}, torch {torch.__version__}")
print("Tem um parâmetro lm_head próprio?")
print((f"{'raiz':<8}{'texto':<8}" + "".join(f"{family:<8}" for family in FAMILIES)).rstrip())
seen = {family: [own_head(family, *case) for case in CASES] for family in FAMILIES}
for i, (root, text) in enumerate(CASES):
    print((f"{str(root).lower():<8}{str(text).lower():<8}"
          + "".join(f"{'sim' if seen[family][i] else 'não':<8}" for family in FAMILIES)).rstrip())
if transformers.__version__ != "5.24.0" or seen != EXPECTED:
    sys.exit("O comportamento mudou.")
print("O comportamento é o descrito: llava usa qualquer um dos dois, gemma3 só a raiz, llama4 só o text_config.")
PY
