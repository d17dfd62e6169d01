"""A página de --html num navegador de verdade: `python3 .ci/pagina.py [PASTA]`.

No Chromium, pelo protocolo de depuração num par de pipes, cada página é vista com 360 e 1000 px de
largura, clara e escura: nada transborda na horizontal, nenhum texto sai do seu gráfico, o
contraste basta (4.5 para 1), o console não reclama e nada se busca fora do arquivo. A de uma
pergunta comum se imprime em até duas folhas A4. As capturas e os PDFs ficam em PASTA, se dada.
Sem um Chromium, instala-se o do Debian; se não há como, diz que a página não foi vista.
"""
import base64
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
PLAIN = ("--model opt-oss-120b --server dgx300 --concurrency 1000 --effective-context 131072 "
         "--ha n+1")
PAGES = {  # nome → (flags, folhas A4 no máximo)
    "simples": (PLAIN, 2),
    "invertida": ("--model opt-oss-20b --server dgx200 --nodes 2", 2),
    "objetivos": (PLAIN + " --input-tokens 2000 --max-tpot-ms 30 --max-ttft-ms 2000", 2),
    "taxa": ("--model opt-oss-20b --server dgx200 --requests-per-second 7 --effective-context 8k "
             "--node-price 400000 --energy-price 0.6 --years 3", 2),
    "varios-nos": ("--model deepseek-r1 --server dgx-a100 --concurrency 10 "
                   "--effective-context 32k", 2),
    "comparacao": ("--model opt-oss-120b,opt-oss-20b --server all --concurrency 500 "
                   "--effective-context 32k", 9)}
# O que a página diz de si: o que transborda, sai do gráfico ou não tem contraste.
FAULTS = """(() => {
  const faults = [], page = document.documentElement;
  if (page.scrollWidth > innerWidth) faults.push("transborda: " + page.scrollWidth + " px");
  for (const text of document.querySelectorAll("figure svg > text")) {
    const box = text.getBoundingClientRect(), all = text.closest("svg").getBoundingClientRect();
    if (box.left < all.left - 1 || box.right > all.right + 1 || box.top < all.top - 1
        || box.bottom > all.bottom + 1) faults.push("fora do gráfico: " + text.textContent);
  }
  const light = color => {
    const parts = color.match(/[0-9.]+/g).slice(0, 3).map(part => {
      const value = part / 255;
      return value <= 0.03928 ? value / 12.92 : Math.pow((value + 0.055) / 1.055, 2.4);
    });
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
  };
  const below = element => {
    for (; element; element = element.parentElement) {
      const color = getComputedStyle(element).backgroundColor;
      if (color !== "rgba(0, 0, 0, 0)") return color;
    }
    return "rgb(255, 255, 255)";
  };
  const seen = new Set();
  for (const element of document.querySelectorAll("body, body *")) {
    if (!element.textContent.trim() || element.closest("title, desc")) continue;
    const style = getComputedStyle(element), inside = element.closest("svg");
    const inks = [light(inside ? style.fill : style.color), light(below(element))].sort();
    const ratio = (inks[1] + 0.05) / (inks[0] + 0.05);
    if (ratio < 4.5 && !(inside && element.tagName !== "text"))
      seen.add("contraste de " + ratio.toFixed(1) + ": " + element.tagName);
  }
  return [...faults, ...seen];
})()"""


def browser():
    """O caminho do Chromium, instalado se preciso; None se não há como."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found or not shutil.which("apt-get"):
        return found
    environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    for words in ("update", "install -y --no-install-recommends chromium fonts-dejavu-core"):
        subprocess.run(["apt-get", "-qq", *words.split()], env=environment, check=False,
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
    return shutil.which("chromium")


class Chromium:
    """Um navegador sem janela; `call` pede e espera a resposta, `events` guarda o resto."""

    def __init__(self, path, profile):
        self.numbers, self.events, self.session = itertools.count(1), [], None
        theirs, ours = os.pipe(), os.pipe()

        def connect():  # o navegador lê do descritor 3 e escreve no 4
            source, sink = os.dup(theirs[0]), os.dup(ours[1])
            os.dup2(source, 3)
            os.dup2(sink, 4)

        self.process = subprocess.Popen(
            [path, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
             "--hide-scrollbars", "--remote-debugging-pipe", "--user-data-dir=" + profile],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, close_fds=False,
            preexec_fn=connect, start_new_session=True)
        os.close(theirs[0])
        os.close(ours[1])
        self.sink, self.source, self.rest = theirs[1], os.fdopen(ours[0], "rb", 0), b""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)[
            "sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(domain + ".enable")

    def read(self):
        while b"\0" not in self.rest:
            piece = self.source.read(65536)
            if not piece:
                raise EOFError("o navegador terminou")
            self.rest += piece
        message, _, self.rest = self.rest.partition(b"\0")
        return json.loads(message)

    def call(self, method, **params):
        number = next(self.numbers)
        message = {"id": number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.sink, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.read()
            if answer.get("id") == number:
                if "error" in answer:
                    raise RuntimeError("%s: %s" % (method, answer["error"]))
                return answer["result"]
            self.events.append(answer)

    def open(self, path, width, scheme):
        """Abre o arquivo e devolve o que a página e o navegador têm contra ele."""
        self.events.clear()
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=800,
                  deviceScaleFactor=1, mobile=False)
        self.call("Emulation.setEmulatedMedia",
                  features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.call("Page.navigate", url="file://" + path)
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self.read())
        result = self.call("Runtime.evaluate", expression=FAULTS, returnByValue=True)["result"]
        faults = result.get("value", [result.get("description")])
        for event in self.events:
            method, params = event.get("method"), event.get("params", {})
            if method == "Network.requestWillBeSent":
                url = params["request"]["url"]
                faults += ["busca " + url] if url != "file://" + path else []
            if method == "Log.entryAdded":
                faults.append("console: " + params["entry"]["text"])
            if method in ("Runtime.exceptionThrown", "Runtime.consoleAPICalled"):
                faults.append("script: %s" % params)
        return faults

    def picture(self, whole):
        """Uma captura da página inteira, ou só da primeira tela, que é mais rápida."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        area = dict(size, height=size["height"] if whole else 800, scale=1)
        return base64.b64decode(self.call(
            "Page.captureScreenshot", clip=area, captureBeyondViewport=whole)["data"])

    def printed(self):
        return base64.b64decode(self.call(
            "Page.printToPDF", preferCSSPageSize=True, generateTaggedPDF=False)["data"])

    def close(self):
        """Termina o navegador e os processos dele, que escrevem no perfil até o fim."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.source.close()
        os.close(self.sink)


def undated(sheet):
    """O PDF sem a data e sem os identificadores, que mudam a cada vez."""
    return re.sub(rb"/(Creation|Mod)Date \([^)]*\)|/ID ?\[[^]]*\]", b"", sheet)


def saved(folder, name, data):
    path = os.path.join(folder, name)
    with open(path, "wb") as file:
        file.write(data)
    return path


def checked(chromium, folder, name, whole):
    """Os defeitos de uma página, por extenso; `whole`: as capturas são da página inteira."""
    flags, most_sheets = PAGES[name]
    run = subprocess.run([sys.executable, os.path.join(ROOT, "sizing.py"), *flags.split(),
                          "--html"], capture_output=True, check=False)
    if run.returncode:
        return ["%s: status %d: %s" % (name, run.returncode, run.stderr.decode())]
    path, faults = saved(folder, name + ".html", run.stdout), []
    pictures, sheets = {}, {}
    for width, scheme in itertools.product((360, 1000), ("light", "dark")):
        where = "%s, %d px, %s" % (name, width, scheme)
        faults += [where + ": " + fault for fault in chromium.open(path, width, scheme)]
        pictures[width, scheme] = chromium.picture(whole)
        saved(folder, "%s-%d-%s.png" % (name, width, scheme), pictures[width, scheme])
        sheets[scheme] = chromium.printed()
    if len(set(pictures.values())) < len(pictures):
        faults.append(name + ": a clara e a escura, ou duas larguras, são iguais")
    if len({undated(sheet) for sheet in sheets.values()}) > 1:
        faults.append(name + ": o papel muda com o tema da tela")
    saved(folder, name + ".pdf", sheets["dark"])
    count = len(re.findall(rb"/Type\s*/Page\b", sheets["dark"]))
    if not 1 <= count <= most_sheets:
        faults.append("%s: %d folhas A4, no máximo %d" % (name, count, most_sheets))
    return faults


def main(argv):
    path = browser()
    signal.alarm(300)  # um navegador que não responde não prende quem verifica
    if not path:
        print("a página não foi vista: não há Chromium nem como instalá-lo")
        return 0
    temporary = tempfile.mkdtemp()
    folder = os.path.abspath(argv[0]) if argv else temporary
    os.makedirs(folder, exist_ok=True)
    chromium = Chromium(path, os.path.join(temporary, "perfil"))
    try:
        faults = [fault for name in PAGES
                  for fault in checked(chromium, folder, name, bool(argv))]
    finally:
        chromium.close()
        shutil.rmtree(temporary, ignore_errors=True)
    print("\n".join(faults) or "%d páginas vistas, claras e escuras, de 360 px a A4" % len(PAGES))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
