"""The stubs say what is there, no more and no less."""

import ast
import inspect
import pathlib

import framecache


def stub() -> ast.Module:
    path = pathlib.Path(framecache.__file__).with_name("__init__.pyi")
    return ast.parse(path.read_text())


def public(body: list[ast.stmt]) -> dict[str, ast.stmt]:
    kinds = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name: node for node in body if isinstance(node, kinds)}


HELPERS = {
    "ArrowStream",
    "ArrowArray",
    "ArrowSchema",
    "Info",
    "Finding",
    "Holder",
}  # types
HELPERS |= {"CacheInfo", "_Memoize", "_Store"}


def members(node: ast.ClassDef) -> dict[str, ast.stmt]:
    """Of a class of the stub, and of those of the stub that it derives from."""
    classes = public(stub().body)
    found: dict[str, ast.stmt] = {}
    for base in node.bases:
        name = getattr(base, "value", base)
        inherited = classes.get(getattr(name, "id", ""))
        if isinstance(inherited, ast.ClassDef):
            found |= members(inherited)
    return found | public(node.body)


def test_every_public_name_is_in_the_stub_and_back() -> None:
    assert set(framecache.__all__) == set(public(stub().body)) - HELPERS


def test_every_method_is_in_the_stub_and_back() -> None:
    plain = set(dir(object)) | {"__class_getitem__", "__module__", "__dict__"}
    for name, node in public(stub().body).items():
        if name in HELPERS or not isinstance(node, ast.ClassDef):
            continue
        cls = getattr(framecache, name)
        if issubclass(cls, Exception):
            continue
        stubbed = set(members(node)) - plain
        there = {
            attribute
            for attribute in dir(cls)
            if attribute not in plain
            and (not attribute.startswith("_") or attribute in stubbed)
        }
        assert stubbed == there, name


def test_signatures_agree() -> None:
    for name, node in public(stub().body).items():
        if name in HELPERS or not isinstance(node, ast.ClassDef):
            continue
        cls = getattr(framecache, name)
        for method, definition in members(node).items():
            there = inspect.getattr_static(cls, method)
            if not inspect.isfunction(there) or not isinstance(
                definition, ast.FunctionDef | ast.AsyncFunctionDef
            ):
                continue
            arguments = definition.args
            wanted = [a.arg for a in (*arguments.posonlyargs, *arguments.args)]
            wanted += [arguments.vararg.arg] if arguments.vararg else []
            wanted += [a.arg for a in arguments.kwonlyargs]
            wanted += [arguments.kwarg.arg] if arguments.kwarg else []
            assert list(inspect.signature(there).parameters) == wanted, (name, method)


def test_everything_public_has_a_docstring() -> None:
    for name in framecache.__all__:
        thing = getattr(framecache, name)
        assert thing.__doc__, name
        if inspect.isclass(thing) and not issubclass(thing, Exception):
            for attribute, member in vars(thing).items():
                if not attribute.startswith("_"):
                    assert member.__doc__, (name, attribute)
