// What can be granted, in the words of the person who grants it.

/** The order in which they are shown; the risky ones are never ticked beforehand. */
export const SCOPES = ["basic", "files", "pin", "write", "settle", "apdu", "metrics", "manage"];
export const RISKY = new Set(["pin", "write", "settle"]);
