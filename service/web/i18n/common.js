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
  noTokenTitle: "本页尚未授权", noTokenRemedy: "请从桌面图标“读卡台”打开；没有图标请联系信息科（命令：cardio open）。",
  linkUsedTitle: "此链接已经用过，或已过期", linkUsedRemedy: "请重新点击桌面图标“读卡台”；没有图标请联系信息科（命令：cardio open）。",
  tooManyTabsTitle: "打开的读卡页面过多", tooManyTabsRemedy: "请关闭不用的标签页；本页随后会自动连接。",
  imposterTitle: "本机端口上的程序不是读卡服务", imposterRemedy: "请勿在本页继续操作，请联系信息科：端口可能被另一个程序占用。",
  offlineTitle: "读卡服务没有应答", offlineRemedy: "读卡服务未启动时请启动，启动后本页会自动连接；长时间未恢复请联系信息科。",
  proof: "真伪", proofGenuine: "真伪已核验", proofTestKeys: "测试密钥核验，不能证明真伪", proofNone: "真伪未核验",
  simulator: "模拟卡", putIn: "插卡", takeOut: "拔卡", swap: "换卡", putBack: "重新插入原卡", turnOver: "反向插入", noFault: "无故障", persona: "角色", fault: "故障",
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
  noTokenTitle: "This page has no access yet", noTokenRemedy: "Open it by the desktop icon “Card Counter”; without one ask your IT department (command: cardio open).",
  linkUsedTitle: "This link was used before, or its time is over", linkUsedRemedy: "Click the icon “Card Counter” again; without one ask your IT department (command: cardio open).",
  tooManyTabsTitle: "Too many of these pages are open", tooManyTabsRemedy: "Close tabs that are not used; this page then connects by itself.",
  imposterTitle: "What answers on this computer is not the card service", imposterRemedy: "Do not go on in this page; tell your IT department that another program may hold the port.",
  offlineTitle: "The card service does not answer", offlineRemedy: "Make sure that cardio is running; this page connects again by itself.",
  proof: "Proof", proofGenuine: "Proved genuine", proofTestKeys: "Checked by test keys, which prove nothing", proofNone: "Not proved genuine",
  simulator: "Software card", putIn: "Insert", takeOut: "Pull", swap: "Swap", putBack: "Put back", turnOver: "Turn over", noFault: "no fault", persona: "Persona", fault: "Fault",
};
