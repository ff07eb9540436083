"""Show the source of a block as it stands in the companion."""

import html
import inspect
import textwrap
from collections.abc import Callable

from IPython.display import display
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer


def show_source(block: Callable | type) -> None:
    """Print the real source of a function or class, highlighted, with the name of its module.

    Args:
        block: a function, method or class of the companion (or of any other package).

    Raises:
        TypeError: if ``block`` has no Python source, such as a built-in function.
    """
    block = inspect.unwrap(block)
    try:
        code = textwrap.dedent(inspect.getsource(block)).rstrip()
    except (TypeError, OSError) as error:
        raise TypeError(f"block must be a Python function or class, got {block!r}") from error
    where = f"{block.__module__}.{block.__qualname__}"
    # No styles of its own: the class is the one under which every page styles its code.
    formatted = highlight(code, PythonLexer(), HtmlFormatter(cssclass="highlight", wrapcode=True))
    page = (
        f'<div class="show-source" role="region" aria-label="{html.escape(where)}">'
        f"<code>{html.escape(where)}</code>{formatted}</div>"
    )
    display({"text/html": page, "text/plain": f"# {where}\n{code}"}, raw=True)
