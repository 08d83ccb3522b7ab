// Pictures that go with the next message, read into data URLs in the browser.
const PICTURE_KINDS = new Set(["image/png", "image/jpeg", "image/webp", "image/gif"]);

class Pictures {
  #chosen = [];

  constructor(list, { most, mostBytes }) {
    this.list = list;
    this.most = most;
    this.mostBytes = mostBytes;
  }

  get count() { return this.#chosen.length; }

  // Returns what is wrong with the files, in words; nothing when all were taken.
  async add(files) {
    for (const file of files) {
      if (!PICTURE_KINDS.has(file.type)) return `${file.name} is no PNG, JPEG, WebP or GIF.`;
      if (file.size > this.mostBytes) return `${file.name} is larger than ${Math.floor(this.mostBytes / 2 ** 20)} MiB. Make it smaller.`;
      if (this.count >= this.most) return `${this.most} pictures at most in one message.`;
      this.#chosen.push({ name: file.name, url: await dataUrlOf(file) });
    }
    this.#show();
    return "";
  }

  take() {
    const taken = this.#chosen;
    this.#chosen = [];
    this.#show();
    return taken;
  }

  #show() {
    this.list.hidden = !this.count;
    this.list.replaceChildren(...this.#chosen.map((picture) => {
      const item = document.createElement("li");
      const remove = Object.assign(document.createElement("button"), { type: "button", textContent: "×", className: "pg-remove" });
      remove.setAttribute("aria-label", `Remove ${picture.name}`);
      remove.addEventListener("click", () => {
        this.#chosen = this.#chosen.filter((each) => each !== picture);
        this.#show();
      });
      item.append(pictureElement(picture), remove);
      return item;
    }));
  }
}

function pictureElement({ url, name }) {
  return Object.assign(document.createElement("img"), { src: url, alt: name, className: "pg-picture" });
}

function dataUrlOf(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(file);
  });
}
