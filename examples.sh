#!/usr/bin/env bash
# Dez perguntas ao sizing.py. Roda de qualquer diretório, sem esperar tecla, e termina com status
# diferente de zero se algum exemplo falhar.
set -euo pipefail
cd "$(dirname "$0")"

example=0
run() {
  example=$((example + 1))
  printf '\n── %d. %s\n$ python3 sizing.py' "$example" "$1"
  shift
  printf ' %s' "$@"
  printf '\n\n'
  "${PYTHON:-python3}" sizing.py "$@"
}

# RAG: 300 pessoas, cada pedido com 4000 tokens em cache, 2000 novos e 400 gerados.
rag=(--model llama-3.3-70b --weights-precision fp8 --concurrency 300
  --cached-tokens 4000 --input-tokens 2000 --output-tokens 400)
goals=(--max-ttft-ms 2000 --min-tokens-per-second 25 --ha n+1)

run 'O que compro? 25 tokens/s, primeiro token em até 2 s, um nó de reserva' \
  --server B200 "${rag[@]}" "${goals[@]}"

run 'E se a previsão errar para o lado ruim?' \
  --server B200 "${rag[@]}" "${goals[@]}" --confidence 90%

run 'Qual servidor? Com o preço de cada um, por quatro anos' \
  --server H200,B200,B300 "${rag[@]}" "${goals[@]}" \
  --node-price dgx200=400000,dgx-b200=480000,dgx300=520000 --energy-price 0.12 --years 4

run 'Um prompt de sistema comum e conversas de vários comprimentos' \
  --model opt-oss-120b --server B300 --concurrency 1000 --ha n+1 \
  --context-mix 8k:70%,32k:25%,128k:5% --shared-prefix-tokens 2000 --input-tokens 1024

run '32k ou 128k, fp8 ou fp16, com reserva ou sem?' \
  --model opt-oss-120b --server dgx300 --concurrency 1000 --effective-context 32k,128k \
  --kv-precision fp8,fp16 --ha none,n+1

run 'Tenho 4 DGX H200: quantas sessões mantêm, com um de reserva?' \
  --model llama-3.3-70b --server dgx200 --nodes 4 --effective-context 32k --ha n+1

run 'Tenho 2 DGX B300 e 3000 sessões: até que contexto?' \
  --model opt-oss-120b --server dgx300 --nodes 2 --concurrency 3000

run 'Mínimo, recomendado ou ideal? O que cada um suporta' \
  --model opt-oss-120b --server dgx300 --concurrency 1000 --scenarios

run '20 pedidos por segundo, e a partida a frio num storage de rede' \
  --model deepseek-r1 --server dgx200 --requests-per-second 20 --input-tokens 2000 \
  --output-tokens 400 --ha n+1 --storage profile_network_ssd

run 'Por quê? Fórmulas, leiautes, o que mudaria a resposta, o comando do motor' \
  --server B200 "${rag[@]}" "${goals[@]}" --explain
