"""The reasons for which the gate refuses a request."""

from __future__ import annotations

from cardio.errors import CardioError
from service.http.errors import GateError, RetryLaterError


class WrongHostError(GateError):
    code = "wrong-host"
    title = "请求的主机名不是本服务"
    title_en = "The Host of the request is not this service"
    remedy = "请使用启动时显示的地址（http://127.0.0.1:端口）。"
    remedy_en = "Use the address that was shown at the start (http://127.0.0.1:PORT)."
    status = 421


class WrongOriginError(GateError):
    code = "wrong-origin"
    title = "该网页无权使用本服务"
    title_en = "This page may not use the service"
    remedy = "请让该网页申请配对并由操作员确认，或请管理员登记该网页的来源。"
    remedy_en = "Have the page ask for pairing and confirm it, or have the administrator list its origin."
    status = 403


class LinkUsedError(GateError):
    """The ticket in a link to one of the bridge's own pages is not valid any more."""

    code = "link-used"
    title = "此链接已经用过，或已过期"
    title_en = "This link was used before, or its time is over"
    remedy = "请重新点击桌面图标“读卡台”；没有图标请联系信息科（命令：cardio open）。"
    remedy_en = "Click the icon 'Card Counter' again; without one ask your IT department (command: cardio open)."
    status = 401


class PortHeldError(CardioError):
    """Another user's program listens at the bridge's port; nothing was sent to it."""

    code = "port-held"
    title = "读卡服务的端口被另一个用户的程序占用"
    title_en = "Another user's program has the port of the card service"
    remedy = "如有另一位用户尚未注销，请其注销后重试；否则请勿继续，联系信息科查明占用端口的程序。"
    remedy_en = (
        "If another user is still logged in, have them log out, then try again. Otherwise do not go on: have your IT "
        "department find out what listens there."
    )
    exit_status = 77


class TooManyRequestsError(RetryLaterError):
    code = "too-many-requests"
    title = "请求过于频繁"
    title_en = "Too many requests"
    remedy = "请稍候再试；插卡拔卡请用事件流，不要轮询。"
    remedy_en = "Wait a moment; follow the event stream in place of asking again and again."


class TooManySocketsError(RetryLaterError):
    code = "too-many-sockets"
    title = "打开的连接过多"
    title_en = "Too many open streams and sockets"
    remedy = "请关闭不用的页面后重试。"
    remedy_en = "Close pages that are not used, then try again."


class PairingGoneError(CardioError):
    code = "no-such-pairing"
    title = "没有这个配对请求，或已过期"
    title_en = "There is no such pairing request, or its time is over"
    remedy = "请让网页重新申请配对。"
    remedy_en = "Have the page ask for pairing again."
    status = 404


class NoSuchGrantError(CardioError):
    code = "no-such-grant"
    title = "没有这个授权"
    title_en = "There is no such grant"
    remedy = "请查看授权列表（cardio pair list）。"
    remedy_en = "See the list of grants (cardio pair list)."
    status = 404
