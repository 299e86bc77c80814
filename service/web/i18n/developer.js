// Words of the developer's page.

export const zh = {
  developerTitle: "开发台", readers: "读卡器", tools: "工具",
  tab_files: "文件", tab_trace: "指令", tab_driver: "驱动函数", tab_events: "事件",
  readTree: "读取文件树", readTreeAgain: "重新读取文件树", fileContent: "文件内容", chooseFile: "选择一个文件，查看其中的数据项。", unknownCode: "未知代码",
  yuan: "{n} 元", months: "{n} 个月", openedBy: "权限：{what}", bytes: "{n} 字节", record: "记录 {n}",
  tag: "标签", item: "数据项", value: "内容", raw: "原始字节",
  singleCommand: "发送单条指令（十六进制）", send: "发送", refresh: "刷新", noTrace: "这张卡插入后还没有指令。", command: "指令", response: "应答", time: "用时",
  noResponse: "没有应答", dataKept: "{n} 字节，不保留",
  function: "函数", arguments: "参数（JSON）", run: "调用", returned: "返回", success: "成功", notJson: "参数不是 JSON", mendJson: "请更正后重试。",
  codeTable: "返回码表（{n} 项）", code: "返回码", meaning: "含义", doWhat: "处理办法",
  clear: "清空", eventCount: "{n} 个事件", noEvents: "还没有事件。",
};

export const en = {
  developerTitle: "Developer", readers: "Readers", tools: "Tools",
  tab_files: "Files", tab_trace: "Commands", tab_driver: "Driver functions", tab_events: "Events",
  readTree: "Read the file tree", readTreeAgain: "Read the tree again", fileContent: "Content of the file", chooseFile: "Choose a file to see its items.", unknownCode: "unknown code",
  yuan: "{n} yuan", months: "{n} months", openedBy: "opened by: {what}", bytes: "{n} bytes", record: "Record {n}",
  tag: "Tag", item: "Item", value: "Value", raw: "Raw bytes",
  singleCommand: "Send a single command (hex)", send: "Send", refresh: "Refresh", noTrace: "No commands since this card was inserted.", command: "Command", response: "Response", time: "Time",
  noResponse: "no answer", dataKept: "{n} bytes, not kept",
  function: "Function", arguments: "Arguments (JSON)", run: "Call", returned: "Returned", success: "success", notJson: "The arguments are not JSON", mendJson: "Correct them and try again.",
  codeTable: "Return codes ({n})", code: "Code", meaning: "Meaning", doWhat: "What to do",
  clear: "Clear", eventCount: "{n} events", noEvents: "No events yet.",
};
