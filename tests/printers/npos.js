// Reads an ESC/POS stream on standard input with npos, a parser that is not ours, and says what it found as JSON:
// the commands in order, and each raster as width, height and base64 bytes of 0 (black) and 255.
'use strict';
const npos = require('npos');
const raster = require('npos/lib/codecs/raster');

const chunks = [];
process.stdin.on('data', (chunk) => chunks.push(chunk));
process.stdin.on('end', async () => {
  const raw = Buffer.concat(chunks);
  const ast = await npos.parser().parse(raw);
  const rasters = ast.tree
    .filter((node) => node.ascii === 'GS' && String(node.fn).startsWith('v'))
    .map((node) => {
      // npos has found the picture's place and size itself; its offset is that of the dots.
      const image = raster.decode(raw, [{ offset: node.offset, width: node.width, height: node.height }]);
      const dots = Buffer.alloc(image.width * image.height);
      for (let y = 0; y < image.height; y++) {
        for (let x = 0; x < image.width; x++) dots[y * image.width + x] = image.getPixel(x, y) ? 255 : 0;
      }
      return { width: image.width, height: image.height, dots: dots.toString('base64') };
    });
  const commands = ast.tree.map((node) => `${node.ascii} ${node.fn ?? ''}`.trim());
  process.stdout.write(JSON.stringify({ error: ast.error ? String(ast.error) : null, commands, rasters }));
});
