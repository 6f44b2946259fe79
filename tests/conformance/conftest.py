from tests.serving.conftest import channel, exports, server

__all__ = ["channel", "exports", "server"]
