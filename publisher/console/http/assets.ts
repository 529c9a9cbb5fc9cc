import { createHash } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { brotliDecompressSync } from 'node:zlib';
import type { Answer } from './answer.ts';
import { type PageFile, pageFiles } from './page-source.ts';

/** The files of the page. They hold no data: anyone may read them, and a link to the page opens without a session. */
export interface Assets {
  /** The HTML, for every address of the page. */
  shell(headers: IncomingHttpHeaders): Answer;
  /** The script or the style sheet with that path; undefined when there is none. */
  file(path: string, headers: IncomingHttpHeaders): Answer | undefined;
}

export async function loadAssets(): Promise<Assets> {
  return assetsOf(await pageFiles());
}

/** `files`: the HTML first. */
export function assetsOf([html, ...others]: readonly PageFile[]): Assets {
  if (html === undefined) throw new Error('the page has no files');
  const shell = prepared(html);
  const files = new Map(others.map((one) => [one.path, prepared(one)]));
  return {
    shell: (headers) => answerWith(shell, headers, 'no-cache'),
    file(path, headers) {
      const found = files.get(path);
      return found && answerWith(found, headers, 'public, max-age=31536000, immutable');
    },
  };
}

interface Prepared {
  type: string;
  etag: string;
  brotli: Buffer;
  /** The file itself, unpacked when a browser first asks for it that does not take Brotli. */
  plain: Buffer | undefined;
}

function prepared({ type, brotli }: PageFile): Prepared {
  const bytes = Buffer.from(brotli, 'base64');
  const digest = createHash('sha256').update(bytes).digest('base64url').slice(0, 22);
  return { type, etag: `W/"${digest}"`, brotli: bytes, plain: undefined };
}

function answerWith(file: Prepared, headers: IncomingHttpHeaders, cacheControl: string): Answer {
  const common = { etag: file.etag, 'cache-control': cacheControl, vary: 'accept-encoding' };
  if (headers['if-none-match'] === file.etag) return { status: 304, headers: common };
  const isBrotli = /(^|,)\s*br\s*(,|;|$)/.test(String(headers['accept-encoding'] ?? ''));
  if (isBrotli) {
    const encoded = { ...common, 'content-type': file.type, 'content-encoding': 'br' };
    return { status: 200, headers: encoded, bytes: file.brotli };
  }
  file.plain ??= brotliDecompressSync(file.brotli);
  return { status: 200, headers: { ...common, 'content-type': file.type }, bytes: file.plain };
}
