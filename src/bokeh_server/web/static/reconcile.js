/* What of a patch by others holds here, while patches of our own are on their way.

   All patches of a document have one order. What arrives before the acknowledgement of a patch of ours comes before it
   in that order, so an attribute that we have set keeps our value, as it will everywhere. Columns and roots can't be
   settled like that; they are named in `doubts`, and looked up once our own patches are acknowledged. */

import { touched } from "./pending.js";

/* Of the content of a patch: what to apply now, and the keys (see `touched`) that must be looked up later. */
export function reconcile(content, pending) {
  if (pending.size === 0) return { content, doubts: [] };
  const doubts = [];
  const events = content.events.map((event) => {
    if (settled(event, pending)) return forgotten(event);
    doubts.push(...touched(event).filter((key) => pending.touches(key)));
    return event;
  });
  return { content: { ...content, events }, doubts };
}

function settled(event, pending) {
  switch (event.kind) {
    case "ModelChanged": return pending.touches(`${event.model.id}.${event.attr}`);
    case "TitleChanged": return pending.touches("title");
    default: return false;
  }
}

/* An event that BokehJS decodes, so that models defined in it are known, and then does nothing with. */
function forgotten(event) {
  return { kind: "MessageSent", msg_type: "bokeh_server_overruled", msg_data: event.new ?? null };
}

/* Ids of the models that a JSON value defines in full. */
export function definitions(value, found = new Set()) {
  if (Array.isArray(value)) {
    for (const item of value) definitions(item, found);
  } else if (value !== null && typeof value === "object" && !ArrayBuffer.isView(value)) {
    if (value.type === "object" && typeof value.id === "string") found.add(value.id);
    for (const item of Object.values(value)) definitions(item, found);
  }
  return found;
}
