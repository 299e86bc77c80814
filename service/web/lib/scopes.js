// What can be granted, in the words of the person who grants it.

/** The order in which they are shown. Which of them are harmless the bridge says with each request. */
export const SCOPES = ["basic", "files", "pin", "write", "settle", "apdu", "metrics", "manage"];
