// Words of the pairing page.

export const zh = {
  pairTitle: "配对与授权", waitingTitle: "等待确认的请求", nobodyAsks: "没有网页在请求配对。网页请求配对时，会显示在这里。",
  asks: "网页“{name}”请求使用本机的读卡服务。它的网址是：", asksDialect: "一个网页想用“{name}”方式使用本机的读卡服务。它的网址是：", asksNow: "{origin} 请求配对",
  codeWhat: "网页上显示的配对码必须与此相同：", codeDialect: "这个网页不会显示配对码，请核对网址：",
  allowWhat: "允许它做什么", approve: "允许", deny: "拒绝", secondsLeft: "还剩 {n} 秒",
  scopeBeyond: "本服务启动时未放行此权限，不能在这里授予。请管理员修改设置 scopes。",
  scope_basic: "读取基本信息", scope_basic_what: "姓名、社会保障号码、卡号等，以及插卡、拔卡的消息。",
  scope_files: "读取卡内全部文件", scope_files_what: "包括照片、参保、就业等全部可读的内容。",
  scope_pin: "使用持卡人密码", scope_pin_what: "网页可以校验、修改持卡人的密码。输错几次，卡就会被锁定。只授予您熟悉的业务系统。",
  scope_write: "修改卡内数据", scope_write_what: "写入的内容会留在卡上，写错无法撤回。只授予需要写卡的业务系统。",
  scope_settle: "扣款结算", scope_settle_what: "网页可以从卡上扣款。只授予收费系统，并先问过信息科。",
  scope_apdu: "发送单条指令", scope_apdu_what: "只对软件卡有效，供开发调试。",
  scope_metrics: "运行指标", scope_metrics_what: "服务的运行数据，不含任何卡内信息。", scope_manage: "管理授权", scope_manage_what: "确认和撤销授权。",
  grantsTitle: "已授权", noGrants: "还没有授权任何网页或程序。",
  kind_page: "网页", kind_program: "程序", kind_dialect: "兼容接口", kind_local: "本机",
  created: "授权时间", lastUsed: "最近使用", liveNow: "当前连接", liveCount: "{n} 个",
  revoke: "撤销", revokeWho: "撤销 {who}", revokeSure: "确认撤销",
};

export const en = {
  pairTitle: "Pairing", waitingTitle: "Waiting for you", nobodyAsks: "No page asks to be paired. When one does, it appears here.",
  asks: "The page “{name}” asks to use the card service of this computer. Its address is:", asksDialect: "A page wants to use the card service of this computer as “{name}”. Its address is:", asksNow: "{origin} asks to be paired",
  codeWhat: "The page must show the same code:", codeDialect: "This page shows no code: look at its address.",
  allowWhat: "What it may do", approve: "Allow", deny: "Deny", secondsLeft: "{n} s left",
  scopeBeyond: "The service was not started with this: it cannot be granted here. The administrator changes the setting `scopes`.",
  scope_basic: "Read basic information", scope_basic_what: "Name, social security number, card number and the like, and when cards come and go.",
  scope_files: "Read all files of a card", scope_files_what: "Photo, insurance, employment: all that can be read.",
  scope_pin: "Use the holder's PIN", scope_pin_what: "The page can verify and change the holder's PIN. A few wrong ones block the card. For systems that you know only.",
  scope_write: "Change what is on the card", scope_write_what: "What is written stays on the card and cannot be taken back. For systems that must write cards only.",
  scope_settle: "Debit the card", scope_settle_what: "The page can take money from the card. For cashier systems only; ask your IT department first.",
  scope_apdu: "Send single commands", scope_apdu_what: "To software cards only, for development.",
  scope_metrics: "Figures of the service", scope_metrics_what: "How the service runs; nothing of any card.", scope_manage: "Manage grants", scope_manage_what: "Confirm and revoke grants.",
  grantsTitle: "Granted", noGrants: "No page or program has been let in.",
  kind_page: "page", kind_program: "program", kind_dialect: "compatibility interface", kind_local: "this computer",
  created: "Granted", lastUsed: "Last used", liveNow: "Connected now", liveCount: "{n}",
  revoke: "Revoke", revokeWho: "Revoke {who}", revokeSure: "Revoke now",
};
