// Words of all pages.

export const zh = {
  language: "English", skip: "跳到内容", pages: "页面",
  navCounter: "读卡台", navKiosk: "自助读卡", navDeveloper: "开发台", navPair: "配对与授权",
  connecting: "正在连接…", live: "已连接", lost: "连接中断，正在重连…", refused: "未获授权",
  noReaders: "没有读卡器。请检查读卡器的连接线和电源。",
  onlySimulated: "目前只有模拟读卡器",
  empty: "无卡", card: "有卡", mute: "卡无应答", "in-use": "被占用", unavailable: "不可用",
  insert: "请插入社会保障卡", reading: "正在读卡…", expiry: "有效期至",
  remedy: "处理：", colon: "：", comma: "、", stop: "。", cancel: "取消", driverCode: "返回码 {n}",
  noTokenTitle: "缺少访问令牌", noTokenRemedy: "请用启动 cardio 时显示的链接打开本页。",
  wrongTokenTitle: "访问令牌与本机的读卡服务不符", wrongTokenRemedy: "请用启动 cardio 时显示的链接重新打开本页；若仍如此，请告知信息科：端口可能被另一个程序占用。",
  offlineTitle: "读卡服务没有应答", offlineRemedy: "请确认 cardio 正在运行；恢复后本页会自动连接。",
  simulator: "软件卡", putIn: "插卡", takeOut: "拔卡", swap: "换卡", putBack: "放回", turnOver: "翻面", noFault: "无故障", persona: "角色", fault: "故障",
};

export const en = {
  language: "中文", skip: "Skip to the content", pages: "Pages",
  navCounter: "Counter", navKiosk: "Kiosk", navDeveloper: "Developer", navPair: "Pairing",
  connecting: "Connecting…", live: "Connected", lost: "Connection lost, trying again…", refused: "Not authorised",
  noReaders: "There is no reader. Check the reader's cable and power.",
  onlySimulated: "there are simulated readers only",
  empty: "empty", card: "card in", mute: "card is mute", "in-use": "in use", unavailable: "unavailable",
  insert: "Put a social security card in", reading: "Reading…", expiry: "Valid until",
  remedy: "Do: ", colon: ": ", comma: ", ", stop: ". ", cancel: "Cancel", driverCode: "driver code {n}",
  noTokenTitle: "The access token is missing", noTokenRemedy: "Open this page by the link that cardio showed when it started.",
  wrongTokenTitle: "The access token does not fit this computer's card service", wrongTokenRemedy: "Open this page again by the link that cardio showed when it started; if that does not help, tell your IT department that another program may hold the port.",
  offlineTitle: "The card service does not answer", offlineRemedy: "Make sure that cardio is running; this page connects again by itself.",
  simulator: "Software card", putIn: "Insert", takeOut: "Pull", swap: "Swap", putBack: "Put back", turnOver: "Turn over", noFault: "no fault", persona: "Persona", fault: "Fault",
};
