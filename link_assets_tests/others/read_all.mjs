// Reads all domains and links with the vendor's client; prints them, and what its schemas say.
// Arguments: the address of the API, the key.
import {
    createRateLimitedClient, listDomains, listLinks, zListDomainsResponse, zListLinksResponse,
} from "@short.io/client-node";

const [baseUrl, authorization] = process.argv.slice(2);
const client = createRateLimitedClient();
client.setConfig({ baseUrl, headers: { authorization } });

const read = { domains: [], links: [], complaints: [], complaintsAboutNulls: [] };

function judge(schema, page) {
    for (const { path, message } of schema.safeParse(page).error?.issues ?? []) {
        const value = path.reduce((part, key) => part?.[key], page);
        const name = path.filter((key) => typeof key === "string").join(".");
        const found = value === null ? read.complaintsAboutNulls : read.complaints;
        found.push(value === null ? name : `${name}: ${message}`);
    }
    return page;
}

async function page(ask, schema, query) {
    const { data } = await ask({ client, query, throwOnError: true });
    return judge(schema, data);
}

for (let domains; !domains || domains.length > 0; read.domains.push(...domains)) {
    domains = await page(listDomains, zListDomainsResponse, { limit: 2, offset: read.domains.length });
}
for (const { id } of read.domains) {
    let pageToken;
    do {
        const asked = { domain_id: id, limit: 25, ...(pageToken ? { pageToken } : {}) };
        const { links, nextPageToken } = await page(listLinks, zListLinksResponse, asked);
        read.links.push(...links);
        pageToken = nextPageToken;
    } while (pageToken);
}
console.log(JSON.stringify(read));
