"""The stubs say what is there, no more and no less."""

import ast
import inspect
import pathlib

import framecache


def stub() -> ast.Module:
    path = pathlib.Path(framecache.__file__).with_name("__init__.pyi")
    return ast.parse(path.read_text())


def public(body: list[ast.stmt]) -> dict[str, ast.stmt]:
    kinds = (ast.ClassDef, ast.FunctionDef)
    return {node.name: node for node in body if isinstance(node, kinds)}


HELPERS = {"ArrowStream", "ArrowArray", "ArrowSchema", "Info", "Finding"}  # types only


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
        stubbed = set(public(node.body)) - plain
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
        for method, definition in public(node.body).items():
            there = inspect.getattr_static(cls, method)
            if not inspect.isfunction(there) or not isinstance(
                definition, ast.FunctionDef
            ):
                continue
            arguments = definition.args
            wanted = [a.arg for a in (*arguments.args, *arguments.kwonlyargs)]
            assert list(inspect.signature(there).parameters) == wanted, (name, method)


def test_everything_public_has_a_docstring() -> None:
    for name in framecache.__all__:
        thing = getattr(framecache, name)
        assert thing.__doc__, name
        if inspect.isclass(thing) and not issubclass(thing, Exception):
            for attribute, member in vars(thing).items():
                if not attribute.startswith("_"):
                    assert member.__doc__, (name, attribute)
