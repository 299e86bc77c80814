"""The errors of commands that need a running bridge or a browser."""

from __future__ import annotations

from cardio.errors import CardioError, ReaderError


class BridgeNotStartedError(ReaderError):
    """The bridge was started and did not become ready."""

    code = "bridge-not-started"
    title = "读卡服务未能启动"
    title_en = "The card service did not start"
    remedy = "请运行 cardio doctor 查看原因，或联系信息科（日志：journalctl --user -u cardio）。"
    remedy_en = "Run cardio doctor, or ask your IT department (log: journalctl --user -u cardio)."


class NoBrowserError(CardioError):
    """A link was made, but no browser could be started to open it."""

    code = "no-browser"
    title = "没有可以启动的浏览器"
    title_en = "No browser could be started"
    remedy = "请将上面的链接粘贴到浏览器的地址栏；链接只能用一次。"
    remedy_en = "Paste the link above into a browser's address bar; it counts once."
