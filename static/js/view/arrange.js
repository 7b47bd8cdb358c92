// Children in their order, without touching those that stand right: what is moved loses the keyboard.

/** `children` are all there is in `parent` afterwards. */
export function arrange(parent, children) {
  const staying = new Set(children);
  for (const child of [...parent.children]) if (!staying.has(child)) child.remove();
  let there = parent.firstElementChild;
  for (const child of children) {
    if (child === there) there = there.nextElementSibling;
    else parent.insertBefore(child, there);
  }
}
