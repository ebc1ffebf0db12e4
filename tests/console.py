"""What a page of a browser logs."""

from playwright.sync_api import ConsoleMessage, Page

__all__ = ["errors_of"]


def errors_of(page: Page) -> list[str]:
    """Return a list that takes the errors which a page logs from now on."""
    errors: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type == "error":
            errors.append(message.text)

    page.on("console", note)
    page.on("pageerror", lambda error: errors.append(str(error)))
    return errors
