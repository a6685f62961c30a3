"""The labels on the backs of the books."""

import weaver

_WIDTHS = {"0": 1, "1": 2, "2": 3, "3": 4, "4": 1, "5": 2, "6": 3, "7": 4, "8": 1, "9": 2}


@weaver.component
class Labels:
    def svg(self, isbn: str) -> str:
        """A row of bars. It keeps a processor busy for a while, so it is no coroutine."""
        bars: list[str] = []
        x = 0
        for digit in isbn:
            width = _WIDTHS.get(digit, 1)
            bars.append(f'<rect x="{x}" width="{width}" height="40"/>')
            x += width + 2
        return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {x} 40">{"".join(bars)}</svg>'
