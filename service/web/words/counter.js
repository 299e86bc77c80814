// Words of the counter.

export const zh = {
  counterTitle: "社会保障卡读卡台",
  notCounting: "PSAM 卡槽，或设置中不使用的读卡器",
  show: "显示", hide: "隐藏", again: "重新读卡", print: "打印凭条", photo: "照片", photoOf: "持卡人照片", nhsa1101: "医保 1101 入参", dismiss: "知道了",
  readingRest: "正在读取其余信息…", wasRead: "已读卡：{reader}",
  copy: "复制{field}", copied: "已复制{field}", notCopied: "浏览器不允许复制，请手工抄录",
  leased: "{owner} 正在使用此读卡器，还剩 {n} 秒", leasedFor: "{owner} 正在使用此读卡器（{purpose}），还剩 {n} 秒",
  name: "姓名", number: "社会保障号码", sex: "性别", ethnicGroup: "民族", birthDate: "出生日期", birthplace: "出生地",
  nationality: "国籍", residence: "常住地", registration: "户籍",
  cardNumber: "卡号", region: "发卡地区", cardClass: "卡类别", version: "规范版本", issued: "发卡日期",
  years: "岁", closed: "持卡人信息未开放", warnings: "注意", unread: "未读", itemsToCheck: "有 {n} 项需要核对，点“显示”查看",
  slipTitle: "社会保障卡读卡凭条", readAt: "读卡时间", readBy: "读卡器", slipFoot: "本凭条由读卡台打印，内容以卡内信息为准。",
};

export const en = {
  counterTitle: "Social security cards",
  notCounting: "Slot of a PSAM card, or a reader that the settings leave out",
  show: "Show", hide: "Hide", again: "Read again", print: "Print slip", photo: "Photo", photoOf: "The holder's photo", nhsa1101: "NHSA 1101 input", dismiss: "Close",
  readingRest: "Reading the rest…", wasRead: "Card read: {reader}",
  copy: "Copy: {field}", copied: "Copied: {field}", notCopied: "The browser does not let the page copy: write it down by hand",
  leased: "{owner} is using this reader for another {n} s", leasedFor: "{owner} is using this reader ({purpose}) for another {n} s",
  name: "Name", number: "Social security number", sex: "Sex", ethnicGroup: "Ethnic group", birthDate: "Date of birth", birthplace: "Birthplace",
  nationality: "Nationality", residence: "Residence", registration: "Household registration",
  cardNumber: "Card number", region: "Issued in", cardClass: "Card class", version: "Specification", issued: "Issued",
  years: "years", closed: "The holder's information is closed", warnings: "Look at this", unread: "Not read", itemsToCheck: "{n} to check: press Show",
  slipTitle: "Social security card slip", readAt: "Read at", readBy: "Reader", slipFoot: "Printed by the card counter; the card itself decides.",
};
