"""A page around an explorer, and the model of a live widget, for tests in a browser."""

URL = "http://book.test/page.html"
PAGE = """<!doctype html><html lang="en"{theme}><head><meta charset="utf-8"><title>A page</title></head>
<body style="margin: 20px"><main>{body}</main></body></html>"""


def document(*pieces: str, theme: str = "light") -> str:
    return PAGE.format(body="\n".join(pieces), theme=f' data-theme="{theme}"' if theme else "")


MODEL = """([source, data, selection]) => {
  const url = URL.createObjectURL(new Blob([source], { type: 'text/javascript' }));
  const state = { data, label: 'Live', selection };
  const calls = new Set();
  window.saved = 0;
  window.model = {
    get: (name) => state[name],
    set: (name, value) => { state[name] = value; calls.forEach((call) => call()); },
    on: (event, call) => event === 'change:selection' && calls.add(call),
    off: (event, call) => event === 'change:selection' && calls.delete(call),
    save_changes: () => { window.saved += 1; },
    listeners: () => calls.size,
  };
  return import(url).then(({ default: widget }) => {
    window.clean = widget.render({ model: window.model, el: document.querySelector('#here') });
  });
}"""
