// Words of the counter.

export const zh = {
  counterTitle: "社会保障卡读卡台",
  show: "显示", hide: "隐藏", again: "重新读卡", print: "打印凭条", photo: "照片", photoOf: "持卡人照片", nhsa1101: "医保 1101 入参", dismiss: "知道了",
  readingRest: "正在读取其余信息…", wasRead: "已读卡：{reader}",
  copy: "复制{field}", copied: "已复制{field}", notCopied: "浏览器不允许复制，请手工抄录",
  leased: "{owner} 正在使用此读卡器，还剩 {n} 秒", leasedFor: "{owner} 正在使用此读卡器（{purpose}），还剩 {n} 秒",
  name: "姓名", number: "社会保障号码", sex: "性别", ethnicGroup: "民族", birthDate: "出生日期", birthplace: "出生地",
  nationality: "国籍", residence: "常住地", registration: "户籍",
  cardNumber: "卡号", region: "发卡地区", cardClass: "卡类别", version: "规范版本", issued: "发卡日期",
  years: "岁", closed: "持卡人信息未开放", warnings: "注意", unread: "未读", itemsToCheck: "有 {n} 项需要核对，点“显示”查看",
  slipTitle: "社会保障卡读卡凭条", readAt: "读卡时间", readBy: "读卡器", slipFoot: "本凭条由读卡台打印，内容以卡内信息为准。",
  counterAsks: "待确认：社会保障卡读卡台", askedBy: "请求方：{who}；读卡器：{reader}", askLeft: "还剩 {n} 秒",
  askLastTryTitle: "持卡人密码只剩最后一次机会", askLastTryText: "这次再错，密码将被锁定，持卡人须凭有效证件办理解锁。请先请持卡人确认密码，再选择是否继续。",
  askLastTryYes: "持卡人同意，继续", askLastTryNo: "不继续",
  askPinTitle: "请持卡人输入密码", askPinText: "读卡器没有密码键盘，请持卡人在此输入社会保障卡密码。密码只发送给卡片，不会显示或保存。", askPinField: "密码",
  askNewPinTitle: "请持卡人设置新密码", askNewPinText: "请持卡人在此输入新密码，两次须一致。密码只发送给卡片，不会显示或保存。",
  askPresent: "原密码", askNew: "新密码", askAgain: "再次输入新密码", askEnter: "确定",
};

export const en = {
  counterTitle: "Social security cards",
  show: "Show", hide: "Hide", again: "Read again", print: "Print slip", photo: "Photo", photoOf: "The holder's photo", nhsa1101: "NHSA 1101 input", dismiss: "Close",
  readingRest: "Reading the rest…", wasRead: "Card read: {reader}",
  copy: "Copy: {field}", copied: "Copied: {field}", notCopied: "The browser does not let the page copy: write it down by hand",
  leased: "{owner} is using this reader for another {n} s", leasedFor: "{owner} is using this reader ({purpose}) for another {n} s",
  name: "Name", number: "Social security number", sex: "Sex", ethnicGroup: "Ethnic group", birthDate: "Date of birth", birthplace: "Birthplace",
  nationality: "Nationality", residence: "Residence", registration: "Household registration",
  cardNumber: "Card number", region: "Issued in", cardClass: "Card class", version: "Specification", issued: "Issued",
  years: "years", closed: "The holder's information is closed", warnings: "Look at this", unread: "Not read", itemsToCheck: "{n} to check: press Show",
  slipTitle: "Social security card slip", readAt: "Read at", readBy: "Reader", slipFoot: "Printed by the card counter; the card itself decides.",
  counterAsks: "Please confirm: social security cards", askedBy: "Asked by {who}; reader {reader}", askLeft: "{n} s left",
  askLastTryTitle: "Only the last try of the holder's PIN is left", askLastTryText: "If this one is wrong the PIN is blocked, and the holder has to have it unblocked with an identity document. Let the holder make sure first, then decide.",
  askLastTryYes: "The holder consents: go on", askLastTryNo: "Do not go on",
  askPinTitle: "The holder enters the PIN", askPinText: "The reader has no key pad: the holder enters the card's PIN here. It goes to the card only, and is neither shown nor kept.", askPinField: "PIN",
  askNewPinTitle: "The holder sets a new PIN", askNewPinText: "The holder enters the new PIN here, twice alike. It goes to the card only, and is neither shown nor kept.",
  askPresent: "Present PIN", askNew: "New PIN", askAgain: "New PIN again", askEnter: "Enter",
};
