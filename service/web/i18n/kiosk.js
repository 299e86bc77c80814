// Words of the kiosk.

export const zh = {
  kioskTitle: "自助读卡", chipUp: "芯片面朝上，芯片一端先插入", takeCard: "请取走您的卡", leaveCard: "请不要取出卡片",
  cardRead: "卡片已读取", clearsIn: "{n} 秒后自动清屏", outOfService: "暂停服务", askStaff: "请到人工窗口办理。",
};

export const en = {
  kioskTitle: "Card reading", chipUp: "Chip up, chip first", takeCard: "Please take your card", leaveCard: "Please leave the card in",
  cardRead: "The card has been read", clearsIn: "Cleared in {n} s", outOfService: "Out of service", askStaff: "Please go to a counter.",
};
