"""What the packages may not contain: ways by which a file or a name becomes code that runs."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("extract", "rsa", "probes", "reports", "cli")
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))

# modules that run what they read, or hand text to a shell
FORBIDDEN = {
    "marshal", "shelve", "dill", "cloudpickle", "joblib", "yaml", "ruamel", "code", "codeop",
    "runpy", "imp", "ctypes", "pty", "tarfile",
}  # fmt: skip
HARMLESS = [("joblib", {"cpu_count"})]  # counts processors, reads nothing
CALLS = {
    "eval", "exec", "compile", "__import__", "os.system", "os.popen", "os.execv", "os.execvp",
    "os.spawnl", "os.spawnv", "subprocess.getoutput", "subprocess.getstatusoutput",
    "pickle.load", "pickle.loads", "pickle.Unpickler", "pandas.read_pickle",
    "torch.hub.load", "torch.jit.load", "torch.package.PackageImporter", "torch.compiler.load",
    "shutil.unpack_archive", "numpy.fromfile", "np.fromfile", "tempfile.mktemp",
}  # fmt: skip
# what a process sends to others of the same run, which started it or which it started
PEERS = {("cli/processes.py", "pickle.loads"), ("reports/painters.py", "pickle.load")}
METHODS = {"extract", "extractall"}  # of archives
# module named by the code itself: tables of the packages, and the user's own `module:Attribute`
IMPORTERS = {
    "cli/doctor/__init__.py", "cli/main.py",
    "extract/datasets/__init__.py", "extract/models/__init__.py",
    "extract/models/ownpath.py", "probes/__init__.py", "probes/framing/readers/__init__.py",
    "probes/heads/__init__.py", "reports/__init__.py", "rsa/__init__.py",
    "rsa/measures/__init__.py",
}  # fmt: skip


def _name(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_name(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def _said(call: ast.Call, keyword: str) -> object:
    """The constant that a call gives for a keyword; None where it gives none."""
    value = next((k.value for k in call.keywords if k.arg == keyword), None)
    return value.value if isinstance(value, ast.Constant) else value


def faults(text: str, name: str) -> Iterator[str]:
    """What of a module could run something that is not its own code."""
    for node in ast.walk(ast.parse(text)):
        place = f"{name}:{getattr(node, 'lineno', 0)}"
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            modules = modules or [alias.name for alias in getattr(node, "names", ())]
            taken = {alias.name for alias in node.names}
            for module in modules:
                if module.partition(".")[0] in FORBIDDEN and (module, taken) not in HARMLESS:
                    yield f"{place}: import of {module}"
            names = {*modules, *(alias.name for alias in node.names)}
            if {"importlib", "import_module"} & names and "metadata" not in names:
                if name not in IMPORTERS:
                    yield f"{place}: imports modules by name"
        if not isinstance(node, ast.Call):
            continue
        called = _name(node.func)
        if called in CALLS and (name, called) not in PEERS:
            yield f"{place}: {called}"
        # a method of the object's own class is no archive's
        owner = called.rpartition(".")[0]
        if called.rpartition(".")[2] in METHODS and owner and "archive" in owner.lower():
            yield f"{place}: {called} writes where an archive says"
        if _said(node, "shell") not in (None, False):
            yield f"{place}: {called} with a shell"
        if _said(node, "trust_remote_code") not in (None, False):
            yield f"{place}: {called} runs code of a hub"
        if _said(node, "allow_pickle") not in (None, False):
            yield f"{place}: {called} with pickles"
        if called in ("np.load", "numpy.load") and _said(node, "allow_pickle") is not False:
            yield f"{place}: {called} without allow_pickle=False"
        if called == "torch.load" and _said(node, "weights_only") is not True:
            yield f"{place}: {called} without weights_only=True"
        if called.startswith("subprocess.") and node.args and isinstance(
            node.args[0], (ast.JoinedStr, ast.Constant)
        ):  # fmt: skip
            yield f"{place}: {called} of a text, not of a list"


@pytest.mark.parametrize("package", PACKAGES)
def test_nothing_that_is_read_can_run(package):
    found = []
    for path in FILES:
        name = path.relative_to(ROOT).as_posix()
        if name.startswith(f"{package}/"):
            found += faults(path.read_text(encoding="utf-8"), name)
    assert not found, "\n".join(found)


BAD = [
    "import joblib", "from joblib import cpu_count, load",
    "from yaml import load", "eval(text)", "import os\nos.system('ls ' + name)",
    "torch.load(path)", "torch.load(path, weights_only=False)", "np.load(path)",
    "np.load(path, allow_pickle=True)", "subprocess.run('ls', shell=True)",
    "subprocess.run(f'ls {name}')", "AutoModel.from_pretrained(x, trust_remote_code=True)",
    "archive.extractall(folder)", "import importlib", "pickle.load(file)", "import tarfile",
    "shutil.unpack_archive(path)", "torch.load(path, weights_only=flag)",
]  # fmt: skip


@pytest.mark.parametrize("text", BAD)
def test_the_rules_find_what_they_forbid(text):
    assert list(faults(text, "extract/x.py"))


def test_all_packages_are_looked_at():
    assert len(FILES) > 200 and {path.relative_to(ROOT).parts[0] for path in FILES} == set(PACKAGES)


def test_importers_are_those_that_import():
    importing = {
        path.relative_to(ROOT).as_posix()
        for path in FILES
        if "import_module(" in path.read_text(encoding="utf-8")
    }
    assert importing == IMPORTERS
