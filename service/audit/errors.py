"""The errors of the audit log."""

from __future__ import annotations

from cardio.errors import CardioError


class AuditUnavailableError(CardioError):
    code = "audit-unavailable"
    title = "审计日志不可用"
    title_en = "The audit log cannot be used"
    remedy = "请检查磁盘空间和文件权限；读卡照常，但这段时间没有审计记录。"
    remedy_en = "Check disk space and permissions; cards are read as before, but this time is not in the log."
    status = 503
    exit_status = 78
    driver_code = -13
